import { z } from 'zod';
import { KNOWN_CRITICAL } from '#crds/directory/critical.ts';
import {
  appEntryBody,
  appKeyField,
  certificateEntryBody,
  ENTRY_VERSION,
  tokenEntryBody,
  webhookHeadersField,
} from '#crds/directory/entry-body.ts';
import { readEntry } from '#crds/directory/entry.ts';
import { parseJsonAs } from '#crds/json-text.ts';
import type { EntryPayload } from '#crds/directory/entry.ts';
import { Secret, type Keyring } from '#crds/keyring.ts';
import { unseal, UnsealError } from '#crds/sealed.ts';
import { appOf } from './directory.ts';
import type { App, ClientCertificate, Token, WebhookHeaders } from './directory.ts';

export type Enforceable =
  /** `mac` names this exact content: two entries with the same one are the same. */
  { readonly mac: string } & (
    | { readonly kind: 'app'; readonly id: string; readonly app: App }
    | { readonly kind: 'token'; readonly sha256: string; readonly token: Token }
    | { readonly kind: 'certificate'; readonly certificate: ClientCertificate }
  );

export type RejectReason = 'unknown_key' | 'not_authentic' | 'unsupported' | 'invalid' | 'unsealable';

export type DecodedEntry = {
  readonly key: string;
  readonly revision: number;
  /** The entry says of itself that it is a removal. */
  readonly removed: boolean;
} & ({ readonly content: Enforceable | null } | { readonly rejected: RejectReason });

/**
 * Reads one entry text as this relay can enforce it. `rejected` entries still say which key and revision they claim, so that the digest
 * can be followed. undefined: not an entry at all.
 */
export function decodeEntry(keyring: Keyring, text: string): DecodedEntry | undefined {
  const read = readEntry(keyring, text);
  if (read.kind === 'malformed') return undefined;
  const payload = read.kind === 'authentic' ? read.entry : read.claim;
  const base = { key: payload.key, revision: payload.revision, removed: payload.body === null };
  if (read.kind === 'refused') return { ...base, rejected: read.reason };
  if (payload.body === null) return { ...base, content: null };
  if (payload.v > ENTRY_VERSION || payload.crit.some((field) => !KNOWN_CRITICAL.has(field))) {
    return { ...base, rejected: 'unsupported' };
  }
  const content = decodeBody(keyring, payload, read.mac);
  return typeof content === 'string' ? { ...base, rejected: content } : { ...base, content };
}

function decodeBody(keyring: Keyring, { key, revision, body }: EntryPayload, mac: string): Enforceable | RejectReason {
  const [kind, name] = splitKey(key);
  switch (kind) {
    case 'app': {
      const parsed = appEntryBody.safeParse(body).data;
      if (parsed === undefined || parsed.appId !== name) return 'invalid';
      const secrets = new Map<string, string>();
      const headers = new Map<string, WebhookHeaders>();
      try {
        for (const { id, secret } of parsed.keys) {
          secrets.set(id, unseal(keyring, [parsed.appId], appKeyField(id), secret));
        }
        for (const { name, headers: sealed } of parsed.webhooks) {
          if (sealed === null) continue;
          const opened = readHeaders(unseal(keyring, [parsed.appId], webhookHeadersField(name), sealed));
          if (opened === undefined) return 'invalid';
          headers.set(name, opened);
        }
      } catch (error) {
        if (error instanceof UnsealError) return 'unsealable';
        throw error;
      }
      return { mac, kind, id: name, app: appOf(parsed, secrets, revision, headers) };
    }
    case 'token': {
      const parsed = tokenEntryBody.safeParse(body).data;
      if (parsed === undefined) return 'invalid';
      return { mac, kind, sha256: name, token: Object.freeze({ ...parsed, sha256: name, revision }) };
    }
    case 'certificate': {
      const parsed = certificateEntryBody.safeParse(body).data;
      const [appId, sha256] = splitCertificateName(name);
      if (parsed?.appId !== appId || !SHA256.test(sha256)) return 'invalid';
      return { mac, kind, certificate: Object.freeze({ ...parsed, sha256 }) };
    }
    default:
      // A kind of a later version.
      return 'unsupported';
  }
}

const headerValues = z.record(z.string(), z.string());

/** @param text a JSON object. undefined: it is none. */
function readHeaders(text: string): WebhookHeaders | undefined {
  const values = parseJsonAs(headerValues, text);
  return values === undefined
    ? undefined
    : new Map(Object.entries(values).map(([name, value]) => [name, new Secret(value)]));
}

const SHA256 = /^[0-9a-f]{64}$/;

/** `480192/ab…` of the key `certificate/480192/ab…` → ['480192', 'ab…'] */
export function splitCertificateName(name: string): [appId: string, sha256: string] {
  const slash = name.lastIndexOf('/');
  return [name.slice(0, Math.max(slash, 0)), name.slice(slash + 1)];
}

/** `app/480192` → ['app', '480192'] */
export function splitKey(key: string): [kind: string, name: string] {
  const slash = key.indexOf('/');
  return slash < 0 ? [key, ''] : [key.slice(0, slash), key.slice(slash + 1)];
}
