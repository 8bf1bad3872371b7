import type { IssuerRef } from '#crds/client-certificate.ts';

/** One of ALLOWED_ISSUERS. `name` null: all of that kind. */
type AllowedIssuer = { readonly kind: string; readonly group: string; readonly name: string | null };
export type AllowedIssuers = readonly AllowedIssuer[];

const CERT_MANAGER = 'cert-manager.io';
const OWN_KINDS = new Set(['Issuer', 'ClusterIssuer']);

const FORM = /^([A-Za-z][A-Za-z0-9]*)(?:\.([a-z0-9][-a-z0-9.]*))?\/(\*|[a-z0-9][-a-z0-9.]*)$/;

/**
 * Reads ALLOWED_ISSUERS: `Kind/name` with commas between, `*` for every name, the group after the kind where it is not cert-manager.io
 * (`AWSPCAClusterIssuer.awspca.cert-manager.io/prod`); `none` for none at all. Throws an Error that says what is wrong.
 */
export function parseAllowedIssuers(text: string): AllowedIssuers {
  const entries = text.split(',').map((entry) => entry.trim());
  if (text.trim() === 'none') return [];
  return entries
    .filter((entry) => entry !== '')
    .map((entry) => {
      const [, kind, group = CERT_MANAGER, name] = FORM.exec(entry) ?? [];
      if (kind === undefined || name === undefined)
        throw new Error('must be Kind/name with commas between, such as Issuer/*,ClusterIssuer/internal-ca, or none');
      if (group === CERT_MANAGER && !OWN_KINDS.has(kind))
        throw new Error(
          `${CERT_MANAGER} has the kinds Issuer and ClusterIssuer: the group of others stands after the kind, such as AWSPCAIssuer.awspca.cert-manager.io/prod`,
        );
      return { kind, group, name: name === '*' ? null : name };
    });
}

/** An Issuer is always one of the object's own namespace: cert-manager knows no other reference. */
export function isAllowed(allowed: AllowedIssuers, { kind, group, name }: IssuerRef): boolean {
  return allowed.some(
    (issuer) => issuer.kind === kind && issuer.group === group && (issuer.name === null || issuer.name === name),
  );
}
