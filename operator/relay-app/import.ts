import { REASON } from '#crds/conditions.ts';
import { Secret } from '#crds/keyring.ts';
import { defaultedApp, type DefaultedApp } from '#crds/relay-app.ts';
import type { Caution } from '../reconcile/conditions.ts';
import type { ImportedCredentials } from '../registry/app-key-registry.ts';
import type { AppRow } from '../registry/app-registry.ts';
import { activeKey } from './keys.ts';
import { referableData } from './reference.ts';
import type { AppSnapshot } from './snapshot.ts';

/** What `credentials.importFrom` comes to at the moment. */
export type Import =
  | { readonly kind: 'none' }
  | ({ readonly kind: 'unusable' } & Caution)
  | { readonly kind: 'usable'; readonly credentials: ImportedCredentials };

/** What stands in paths, in `KEY:signature` and in names of Redis, and can be told from everything else there. */
const NAME = /^[A-Za-z0-9_-][A-Za-z0-9._~-]{0,63}$/;
/** What a header can carry. */
const SECRET = /^[\x21-\x7e]{1,256}$/;

const PURPOSE = {
  allows: 'be used by an app',
  instead: 'an app that is to have the credentials of another one is that other one',
} as const;

/** The credentials in the Secret that the snapshot's object imports from. What it says of them names keys of the Secret and never a value. */
export function importOf(snapshot: Pick<AppSnapshot, 'object' | 'references'>): Import {
  const { metadata, spec } = snapshot.object;
  const { importFrom } = defaultedApp(metadata.name, spec);
  if (importFrom === null) return { kind: 'none' };
  const found = referableData(snapshot, importFrom.name, PURPOSE);
  if (!('data' in found)) return { kind: 'unusable', ...found };
  const { keys } = importFrom;
  const appId = valueOf(found.data, keys.id);
  const key = valueOf(found.data, keys.key);
  const secret = valueOf(found.data, keys.secret);
  const faults = [
    fault(keys.id, appId, NAME, 'an app id'),
    fault(keys.key, key, NAME, 'a public key'),
    fault(keys.secret, secret, SECRET, 'a secret'),
  ].filter((text) => text !== undefined);
  if (faults.length > 0 || appId === undefined || key === undefined || secret === undefined) {
    const message = `Secret ${importFrom.name} cannot be imported: ${faults.join('; ')}`;
    return { kind: 'unusable', reason: REASON.ImportInvalid, message };
  }
  return { kind: 'usable', credentials: { appId, key, secret: new Secret(secret) } };
}

/** Whether the app does not have them yet. */
export function differs({ key, secret }: ImportedCredentials, row: AppRow): boolean {
  const active = activeKey(row);
  return active.key !== key || active.secret.reveal() !== secret.reveal();
}

/** Why what can be imported must not be: it is another app's. */
export function clashMessage({ importFrom }: DefaultedApp, clash: 'appId' | 'key'): string {
  const what = clash === 'appId' ? 'app id' : 'public key';
  return `Secret ${importFrom?.name ?? ''} has the ${what} of another app: an id and a public key belong to one app; delete that app, or import others`;
}

/** Of credentials that work, and that somebody may stumble over. */
export function unusualCredentials(row: AppRow): readonly Caution[] {
  const { key, secret } = activeKey(row);
  const odd = [
    /^[1-9][0-9]{0,14}$/.test(row.appId) ? [] : ['the app id is no number, and some SDKs read it as one'],
    /^[0-9a-z]+$/.test(key) ? [] : ['the public key is not of lowercase letters and digits'],
    /^[0-9a-z]+$/.test(secret.reveal()) ? [] : ['the secret is not of lowercase letters and digits'],
  ].flat();
  return odd.length === 0 ? [] : [{ reason: REASON.CredentialsUnusual, message: odd.join(', ') }];
}

/** White space around a value goes: a file that ends with a newline is the usual way to make a Secret. */
function valueOf(data: Readonly<Record<string, string>>, keys: readonly string[]): string | undefined {
  const found = keys.find((key) => data[key] !== undefined);
  return found === undefined ? undefined : data[found]?.trim();
}

function fault(keys: readonly string[], value: string | undefined, form: RegExp, what: string): string | undefined {
  const key = keys.join(' nor ');
  if (value === undefined)
    return `it has ${keys.length > 1 ? 'neither' : 'no'} ${key} (name its key in credentials.importFrom.keys)`;
  if (form.test(value)) return undefined;
  const may =
    form === NAME
      ? 'up to 64 letters, digits, and - . _ ~ inside'
      : 'up to 256 printable ASCII characters without spaces';
  return `the value of ${keys.join(' or ')} is not ${what}: it must be ${may}`;
}
