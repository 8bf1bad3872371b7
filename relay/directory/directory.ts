import type {
  AppEntryBody,
  CertificateEntryBody,
  TokenEntryBody,
  WebhookEndpointBody,
} from '#crds/directory/entry-body.ts';
import type { Position } from '#crds/directory/position.ts';
import { Secret } from '#crds/keyring.ts';
import { appAccessOf, type AppAccess } from '../access/app-access.ts';
import { SigningKey } from '../auth/signing-key.ts';

export type AppKey = {
  readonly id: string;
  readonly key: string;
  readonly secret: Secret;
  /** The secret as an HMAC key, for signatures. */
  readonly signingKey: SigningKey;
  /** Epoch milliseconds: from then on it verifies nothing, by this relay's own clock. null: no end. */
  readonly expiresAt: number | null;
  /** Not handed out yet: it verifies, and nothing is signed with it. */
  readonly pending: boolean;
};

/** Extra headers of a webhook. The values are secrets: a bearer token of the receiver, say. */
export type WebhookHeaders = ReadonlyMap<string, Secret>;

/** Where an app wants to be told of its events. */
export type Webhook = Readonly<Omit<WebhookEndpointBody, 'headers'>> & { readonly headers: WebhookHeaders };

/** An app as it is enforced. Frozen; another object means that something about it changed. */
export type App = Readonly<Omit<AppEntryBody, 'keys' | 'webhooks' | 'access'>> & {
  /** Oldest first. */
  readonly keys: readonly AppKey[];
  readonly webhooks: readonly Webhook[];
  readonly access: AppAccess;
  /** The revision at which it last changed. */
  readonly revision: number;
};

/** A bearer token as it is enforced. Frozen. */
export type Token = Readonly<TokenEntryBody> & { readonly sha256: string; readonly revision: number };

/** A client certificate that may connect to its app. Frozen. `sha256` is its DER's, lower-case hex. */
export type ClientCertificate = Readonly<CertificateEntryBody> & { readonly sha256: string };

/** What the last step changed; removed ones are named too, and the apps of certificates. */
export type DirectoryChange = {
  readonly appIds: ReadonlySet<string>;
  readonly tokenHashes: ReadonlySet<string>;
  /** The apps that these tokens belong to, or did. */
  readonly tokenApps: ReadonlySet<string>;
};

/** The directory as the gate sees it: in memory, whole, and never going back. */
export interface Directory {
  apps(): Iterable<App>;
  appById(appId: string): App | undefined;
  /** By a public key of the app. */
  appByKey(key: string): App | undefined;
  /** By the SHA-256 of the whole token, lower-case hex. */
  tokenByHash(sha256: string): Token | undefined;
  /** The name of the RelayToken that the token with this public part belongs to. */
  ownerOfToken(appId: string, tokenId: string): string | undefined;
  /** Whether any token of this RelayToken is let in now: the present one, or one that it replaced. @param now epoch milliseconds */
  acceptsTokenOf(appId: string, owner: string, now: number): boolean;
  /** A certificate that is registered for this app, by its fingerprint, lower-case hex. */
  certificateOf(appId: string, sha256: string): ClientCertificate | undefined;
  /** When the next thing of an app ends by the clock, later than `after` (both epoch milliseconds); undefined: nothing does. */
  nextEnd(appId: string, after: number): number | undefined;
  /** May serve: loaded, and admitted by the operator (or that has not come within RELAY_ADMIT_TIMEOUT), and not fenced. */
  ready(): boolean;
  /** RELAY_FENCE_AFTER has passed without a report that arrived: close all sockets (4100), answer 503. Ask before each use. */
  fenced(): boolean;
  position(): Position;
  /**
   * The listener runs after lookups show the new state; the revision is reported as applied only when what it returns has resolved (the
   * affected sockets are closed). A rejection is logged and the revision is not reported until the listener resolves on a repeat.
   */
  onApplied(listener: (change: DirectoryChange) => Promise<void>): () => void;
  /** Called when a fence closes or opens, and when `ready()` changes. */
  onStateChange(listener: () => void): () => void;
}

const NO_HEADERS: WebhookHeaders = new Map();

/**
 * @param secrets the unsealed secret of each key of the body, by id.
 * @param headers the unsealed headers of each webhook that has some, by the webhook's name.
 */
export function appOf(
  body: AppEntryBody,
  secrets: ReadonlyMap<string, string>,
  revision: number,
  headers: ReadonlyMap<string, WebhookHeaders> = new Map(),
): App {
  const keys = body.keys.map(({ id, key, expiresAt, pending }) => {
    const secret = secrets.get(id) ?? '';
    const signingKey = new SigningKey(secret);
    return Object.freeze({ id, key, secret: new Secret(secret), signingKey, expiresAt, pending });
  });
  const webhooks = body.webhooks.map((webhook) =>
    Object.freeze({ ...webhook, headers: headers.get(webhook.name) ?? NO_HEADERS }),
  );
  return Object.freeze({
    ...body,
    authentication: Object.freeze(body.authentication),
    access: appAccessOf(body.access),
    limits: Object.freeze(body.limits),
    channels: Object.freeze(body.channels),
    keys: Object.freeze(keys),
    webhooks: Object.freeze(webhooks),
    revision,
  });
}
