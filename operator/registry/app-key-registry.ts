import type { Secret } from '#crds/keyring.ts';
import type { RetirementTimes } from '#crds/rotation.ts';
import type { Announcements } from '../notifications/announcement.ts';
import type { ObjectRef } from '../world/object-ref.ts';
import type { Subject } from './subject.ts';

/** A key of an app. All times epoch ms. */
export type AppKey = {
  readonly id: string;
  readonly key: string;
  readonly secret: Secret;
  /** RFC 3339, whole seconds. */
  readonly createdAt: string;
  /** Pending: relays verify it, no Secret holds it yet. Active: handed out. Retiring: replaced, and still verified. */
  readonly state: 'Pending' | 'Active' | 'Retiring';
  readonly origin: 'Minted' | 'Imported';
  /** Why it was made; null: it is the first, or of an earlier version. */
  readonly cause: StageKey['reason'] | null;
  /** Since when it is handed out; null: not yet. */
  readonly activatedAt: number | null;
  /** Of a Retiring one. */
  readonly retirement: KeyRetirement | null;
};

export type KeyRetirement = {
  /** When its successor was handed out. */
  readonly since: number;
  /** It works until then in any case. */
  readonly overlapUntil: number;
  /** It goes then at the latest; relays refuse it from then on by their own clock. */
  readonly expiresAt: number;
  /** It was told already that it is used after the overlap. */
  readonly inUseTold: boolean;
};

/** What an app has already, elsewhere. */
export type ImportedCredentials = { readonly appId: string; readonly key: string; readonly secret: Secret };

export type StageKey = {
  readonly rotates: 'KeyAndSecret' | 'Secret';
  /** Takes these instead of minting. */
  readonly imported: ImportedCredentials | null;
  /** For people, and the audit log. */
  readonly reason: 'interval' | 'request' | 'import';
  /** The value of the annotation that is acted on with this. */
  readonly request: string | null;
};

/** The keys of the apps of the registry (registry.ts), as they rotate. Every method is one transaction that can be repeated harmlessly. */
export interface AppKeyRegistry {
  /** Which of both another app has; undefined: neither. @param app who asks: its identity, and the id that it has or is to have */
  findClash(app: ObjectRef & { readonly appId: string }, key: string): Promise<'appId' | 'key' | undefined>;
  /** Puts a Pending key beside the Active one, and publishes it. There is one at a time. */
  stageKey(subject: Subject, appId: string, stage: StageKey): Promise<void>;
  /** The Pending key was handed out: it is Active, and the clock of the former one starts. */
  promoteKey(
    subject: Subject,
    appId: string,
    id: string,
    times: RetirementTimes,
    announce?: Announcements,
  ): Promise<void>;
  /** Of a Retiring key. */
  setKeyTimes(subject: Subject, appId: string, id: string, times: Omit<KeyRetirement, 'inUseTold'>): Promise<void>;
  /** Ends a Retiring key: nothing verifies it once that is enforced. `inUse`: somebody is refused from now on. */
  endKey(subject: Subject, appId: string, id: string, inUse: boolean, announce?: Announcements): Promise<void>;
  /** Remembers that people were told of a key that is used after its overlap. Nothing is published. */
  noteKeyInUse(subject: Subject, appId: string, id: string, announce?: Announcements): Promise<void>;
  /** Remembers a value of the annotation as acted on. Nothing is published. */
  recordKeyRotationRequest(subject: Subject, appId: string, value: string): Promise<void>;
}
