import type { AppEntryBody, WebhookEndpointBody } from '#crds/directory/entry-body.ts';
import type { Secret } from '#crds/keyring.ts';
import type { Announcements } from '../notifications/announcement.ts';
import type { ObjectRef } from '../world/object-ref.ts';
import type { AppKey, ImportedCredentials } from './app-key-registry.ts';
import type { Subject } from './subject.ts';

/**
 * What the directory says of an app besides its keys: the declared part, compared on every reconcile. Stored in plain, so nothing secret is in
 * it. A row of an earlier version lacks the fields that are new since: it differs from what is declared, and is updated for that.
 */
export type AppPolicy = Pick<
  AppEntryBody,
  'enabled' | 'authentication' | 'access' | 'limits' | 'channels' | 'secretScanning'
> & {
  readonly webhooks: readonly WebhookPolicy[];
};
export type WebhookPolicy = Omit<WebhookEndpointBody, 'headers'>;

/** The extra headers of webhooks that have some, by webhook name: each a JSON object, its keys sorted. */
export type WebhookHeaders = ReadonlyMap<string, Secret>;

/**
 * Active: in the directory. Retained: its object was deleted with `Retain`; the next object of the same identity takes it back by itself.
 * Deleted: only an explicit `appId` takes it back, until it is purged after 7 days.
 */
export type AppRow = {
  readonly appId: string;
  readonly objectUid: string;
  readonly state: 'Active' | 'Retained' | 'Deleted';
  readonly policy: AppPolicy;
  readonly webhookHeaders: WebhookHeaders;
  /** In the order in which they were handed out: Retiring ones, the Active one, a Pending one. */
  readonly keys: readonly AppKey[];
  /** Epoch ms; null: no key of it was ever replaced. */
  readonly rotatedAt: number | null;
  /** The last value of the annotation `relay-operator.dev/rotate` that was acted on, or that was there at first sight. */
  readonly rotateRequest: string | null;
  /** Directory revision of the last change of its entry, removal included, and when that was (epoch ms). */
  readonly revision: number;
  readonly changedAt: number;
};

/** What an object that was never seen before brings along. */
export type FirstSight = {
  /** The annotation that it has already: recorded and not acted on. */
  readonly request?: string | undefined;
  /** Only of an app that is registered anew. */
  readonly imported?: ImportedCredentials | undefined;
};

/** The apps of the registry (registry.ts). */
export interface AppRegistry {
  /** The app of this identity that matters now: the Active one, else the one last retired by the object with this UID. */
  findApp(ref: ObjectRef, uid: string): Promise<AppRow | undefined>;
  /** A retired app of this identity that a new object takes back: by id, or without one the newest Retained. */
  findRetiredApp(ref: ObjectRef, appId: string | undefined): Promise<AppRow | undefined>;
  /** Mints id and key, or takes those that are imported. */
  registerApp(subject: Subject, policy: AppPolicy, headers: WebhookHeaders, first?: FirstSight): Promise<void>;
  takeBackApp(
    subject: Subject,
    appId: string,
    policy: AppPolicy,
    headers: WebhookHeaders,
    first?: FirstSight,
  ): Promise<void>;
  updateApp(subject: Subject, appId: string, policy: AppPolicy, headers: WebhookHeaders): Promise<void>;
  /** Records a new object's UID for an app that stayed Active (a rebuilt cluster). Nothing is published. */
  rebindApp(subject: Subject, appId: string, first?: FirstSight): Promise<void>;
  retireApp(subject: Subject, appId: string, policy: 'Delete' | 'Retain', announce?: Announcements): Promise<void>;
  /** Apps deleted before `before` (epoch ms) and all that belongs to them are removed for good. Returns their ids. */
  purgeApps(before: number): Promise<readonly string[]>;
}
