import type { RelayApp } from '#crds/relay-app.ts';
import type { Enforced } from '../directory/enforcement.ts';
import type { SecretState } from '../reconcile/secret-state.ts';
import type { CredentialUse } from '../registry/credential-use.ts';
import type { AppRow } from '../registry/app-registry.ts';
import type { ReferencedSecret, StoredSecret } from '../world/secrets.ts';
import type { WithoutDatabase } from './country-databases.ts';

/** Where clients find the relay, as the Secret names it. */
export type Endpoints = { readonly public: string; readonly internal: string };

/** All that `planApp` decides from, gathered at one moment by `observe.ts`. */
export type AppSnapshot = {
  /** Epoch ms. */
  readonly now: number;
  readonly object: RelayApp;
  readonly row: AppRow | undefined;
  /** What a new object would take back; looked up only while there is no active row. */
  readonly retired: AppRow | undefined;
  readonly secret: SecretState;
  /** The Secret in which the next key waits. */
  readonly staged: SecretState;
  /** The Secrets that the spec refers to, by name; none while the object is being deleted. */
  readonly references: ReadonlyMap<string, ReferencedSecret>;
  /** What another app has of the credentials that are to be imported; looked up only while this one does not have them. */
  readonly clash: 'appId' | 'key' | undefined;
  /** Of its keys, by their ids; asked only while one of them outlived its overlap, or all of them are about to go. */
  readonly uses: ReadonlyMap<string, CredentialUse>;
  /** Up to when it is known what was used, epoch ms; null: it is not. */
  readonly usesKnownUntil: number | null;
  /** Keys of the occasions that are due by the clock and were announced before (notifications/occasion.ts). */
  readonly announced: ReadonlySet<string>;
  /** This operator can send mail. */
  readonly mail: boolean;
  /** Ours, under a name that is no longer wanted; all of ours while the object is being deleted. */
  readonly strays: readonly StoredSecret[];
  readonly endpoints: Endpoints;
  /** Of the row's revision; absent without a row. */
  readonly enforced: Enforced | undefined;
  /** Which relays cannot tell countries. */
  readonly withoutDatabase: WithoutDatabase;
};
