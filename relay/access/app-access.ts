import type { AppEntryBody } from '#crds/directory/entry-body.ts';
import type { CountryRule } from './countries.ts';
import { parseIpRange } from './ip-address.ts';
import { IpRanges } from './ip-ranges.ts';
import { Origins } from './origins.ts';

/** Who gets in, made ready for asking: once per change of the app, not per request. null: no restriction. */
export type AppAccess = {
  readonly ipAllowlist: IpRanges | null;
  readonly origins: Origins | null;
  readonly countries: CountryRule | null;
  readonly clientCertificatesRequired: boolean;
};

/** What cannot be read lets nobody in. */
export function appAccessOf(access: AppEntryBody['access']): AppAccess {
  const { ipAllowlist, origins, countries, clientCertificatesRequired = false } = access;
  return Object.freeze({
    ipAllowlist:
      ipAllowlist === null ? null : new IpRanges(ipAllowlist.map(parseIpRange).filter((range) => range !== undefined)),
    origins: origins === null ? null : new Origins(origins),
    countries: countries === null ? null : { mode: countries.mode, codes: new Set(countries.codes) },
    clientCertificatesRequired,
  });
}

/** Whether a rule looks at where the client is. */
export function asksForAddress(access: AppAccess | undefined): boolean {
  return access !== undefined && (access.ipAllowlist !== null || access.countries !== null);
}

/** Whether a rule looks at the client's certificate. */
export function asksForCertificate(access: AppAccess | undefined): boolean {
  return access !== undefined && access.clientCertificatesRequired;
}
