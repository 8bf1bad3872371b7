import { certificateEntryKey } from '#crds/directory/entry-body.ts';
import { defaultedCertificate, type CertificateSource, type ClientCertificate } from '#crds/client-certificate.ts';
import { REASON } from '#crds/conditions.ts';
import { evaluateEnforced, evaluateUnregistered } from '../directory/enforcement.ts';
import type { Enforcement } from '../directory/enforcement-watch.ts';
import { occasionKey } from '../notifications/occasion.ts';
import { lookUpApp, notifyOf, type AppSources } from '../reconcile/app-reference.ts';
import { isLatched } from '../reconcile/conditions.ts';
import { referencedData } from '../reconcile/referenced-secret.ts';
import { usesOf } from '../reconcile/uses-of.ts';
import type { CertificateHolder, CertificateRow } from '../registry/certificate-registry.ts';
import type { CredentialUses } from '../registry/credential-use.ts';
import type { Registry } from '../registry/registry.ts';
import { CERTIFICATE_NAME_ANNOTATION, type CertManager } from '../world/cert-manager.ts';
import type { ObjectRef } from '../world/object-ref.ts';
import type { Objects } from '../world/objects.ts';
import type { Secrets } from '../world/secrets.ts';
import { going, noticesOf } from './announcements.ts';
import { isAllowed, type AllowedIssuers } from './allowed-issuers.ts';
import { leafIn, presentedIn, type Presented, type Unusable } from './presented.ts';
import { live, newest } from './rows.ts';
import type { CertificateSnapshot, Issuance, IssuedSecret } from './snapshot.ts';

export type CertificateSources = AppSources & {
  readonly certificates: Pick<Objects<ClientCertificate>, 'get'>;
  readonly secrets: Secrets;
  readonly certManager: CertManager;
  readonly registry: Registry;
  readonly enforcement: Enforcement;
  readonly uses: CredentialUses;
  readonly allowedIssuers: AllowedIssuers;
  /** Epoch ms. */
  readonly now: () => number;
};

/** Gathers everything that the plan of one client certificate depends on; undefined when the object is gone. */
export async function observeCertificate(
  sources: CertificateSources,
  ref: ObjectRef,
): Promise<CertificateSnapshot | undefined> {
  const object = sources.certificates.get(ref);
  if (object === undefined) return undefined;
  const spec = defaultedCertificate(ref.name, object.spec);
  const deleting = object.metadata.deletionTimestamp !== undefined;
  const rows = await sources.registry.findCertificates(ref);
  const app = deleting ? ({ kind: 'absent' } as const) : await lookUpApp(sources, { ...ref, name: spec.appName });
  const issuance = await issuanceOf(sources, object, spec.source);
  const presented = deleting ? undefined : await presentedBy(sources, ref, spec.source, issuance);
  const now = sources.now();
  const notify = notifyOf(sources, { ...ref, name: spec.appName });
  const situation = { now, object, app, rows, presented, issuance, notify };
  const uses = await usesOf(sources.uses, going(situation));
  const { due } = noticesOf({ ...situation, uses });
  return {
    ...situation,
    holder: await holderOf(sources, ref, app, presented, rows),
    uses,
    announced: [...(await sources.registry.announced(due.map(({ occasion }) => occasionKey(occasion))))],
    enforced: enforcedOf(sources, object, rows, now),
  };
}

async function presentedBy(
  { secrets }: CertificateSources,
  { namespace }: ObjectRef,
  source: CertificateSource,
  { secret }: Issuance,
): Promise<Presented | Unusable | undefined> {
  switch (source.kind) {
    case 'issue':
      return secret.kind === 'ours' ? secret.presented : undefined;
    case 'fingerprint':
      return { sha256: source.sha256, notBefore: null, notAfter: source.notAfter };
    case 'pem':
      return presentedIn(source.pem, 'spec.certificate.pem');
    case 'secretRef': {
      const { name, key } = source;
      const reference = await secrets.readReferenced({ namespace, name });
      const found = referencedData(reference, namespace, name, {
        allows: 'be referred to',
        instead: "put the client's certificate into a Secret of its own",
      });
      if ('reason' in found) return found;
      const text = found.data[key];
      if (text !== undefined) return presentedIn(text, `key ${key} of Secret ${name}`);
      const message = `Secret ${name} has no key ${key}: name the one that holds the certificate in spec.certificate.secretRef.key`;
      return { reason: REASON.SecretKeyNotFound, message };
    }
  }
}

/** Asked only before something is registered: at rest it costs nothing. */
async function holderOf(
  { registry }: CertificateSources,
  { namespace, name }: ObjectRef,
  app: CertificateSnapshot['app'],
  presented: CertificateSnapshot['presented'],
  rows: readonly CertificateRow[],
): Promise<CertificateHolder | undefined> {
  if (app.kind !== 'registered' || presented === undefined || 'reason' in presented) return undefined;
  const held = live(rows).some(({ appId, sha256 }) => appId === app.appId && sha256 === presented.sha256);
  const holder = held ? undefined : await registry.findCertificateHolder(app.appId, presented.sha256);
  return holder?.namespace === namespace && holder.name === name ? undefined : holder;
}

async function issuanceOf(
  { certManager, secrets, allowedIssuers }: CertificateSources,
  { metadata, spec, status }: ClientCertificate,
  source: CertificateSource,
): Promise<Issuance> {
  const { namespace, name, uid } = metadata;
  const issue = source.kind === 'issue' ? source : undefined;
  const gone = metadata.deletionTimestamp !== undefined || spec.revoked === true;
  const ref = { namespace, name };
  const certificate = issue === undefined || gone ? certManager.find(ref) : await certManager.look(ref);
  const wanted = gone ? undefined : issue?.secretName;
  const read = (secretName: string) => issuedSecret(secrets, { namespace, name: secretName }, name);
  const strays: (ObjectRef & { uid: string })[] = [];
  // Of a Certificate of this name that somebody else owns, they are theirs.
  const theirs = certificate !== undefined && certificate.ownerUid !== uid;
  for (const secretName of theirs ? [] : new Set([status?.secretName, issue?.secretName])) {
    if (secretName === undefined || secretName === wanted) continue;
    const secret = await read(secretName);
    if (secret.kind === 'ours') strays.push({ namespace, name: secretName, uid: secret.uid });
  }
  return {
    certManager: certManager.state(),
    allowed: issue === undefined || isAllowed(allowedIssuers, issue.issuerRef),
    certificate,
    secret: wanted === undefined ? { kind: 'absent' } : await read(wanted),
    strays,
  };
}

/** Always a live look: a cache of cert-manager's Secrets would hold every private key of the cluster. */
async function issuedSecret(secrets: Secrets, ref: ObjectRef, certificateName: string): Promise<IssuedSecret> {
  const secret = await secrets.readLive(ref);
  if (secret === undefined) return { kind: 'absent' };
  if (secret.annotations[CERTIFICATE_NAME_ANNOTATION] !== certificateName) return { kind: 'foreign' };
  const presented = leafIn(secret.data['tls.crt'] ?? '', `key tls.crt of Secret ${ref.name}`);
  return { kind: 'ours', uid: secret.uid, presented };
}

function enforcedOf(
  sources: CertificateSources,
  object: ClientCertificate,
  rows: readonly CertificateRow[],
  now: number,
): CertificateSnapshot['enforced'] {
  const { metadata, spec, status } = object;
  const last = newest(rows, object);
  const view = sources.enforcement.view();
  const latched = isLatched(status?.conditions, status?.revision, last?.revision, metadata.generation);
  if (last === undefined) {
    if (spec.revoked !== true) return undefined;
    return evaluateUnregistered({ view, latched });
  }
  const entryKeys = live(rows).map(({ appId, sha256 }) => certificateEntryKey(appId, sha256));
  return evaluateEnforced({ view, revision: last.revision, entryKeys, since: now - last.changedAt, latched });
}
