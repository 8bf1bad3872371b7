import type { RelayAppStatus } from '#crds/relay-app.ts';
import type { RetirementTimes } from '#crds/rotation.ts';
import type { Announcement, Announcements } from '../notifications/announcement.ts';
import type { Plan } from '../reconcile/plan.ts';
import type { KeyRetirement, StageKey } from '../registry/app-key-registry.ts';
import type { AppPolicy, FirstSight, WebhookHeaders } from '../registry/app-registry.ts';
import type { OldInUse } from '../rotation/old-credential.ts';
import type { DesiredSecret, StoredSecret } from '../world/secrets.ts';

/** One effect. `apply.ts` carries it out, and then everything is observed and planned again. */
export type AppStep =
  | { readonly do: 'AddFinalizer' }
  | {
      readonly do: 'RegisterApp';
      readonly policy: AppPolicy;
      readonly headers: WebhookHeaders;
      readonly first?: FirstSight;
    }
  | {
      readonly do: 'TakeBackApp';
      readonly appId: string;
      readonly policy: AppPolicy;
      readonly headers: WebhookHeaders;
      readonly first?: FirstSight;
    }
  | { readonly do: 'RebindApp'; readonly appId: string; readonly first?: FirstSight }
  | { readonly do: 'UpdateApp'; readonly appId: string; readonly policy: AppPolicy; readonly headers: WebhookHeaders }
  | { readonly do: 'RecordRequest'; readonly appId: string; readonly value: string }
  | { readonly do: 'StageKey'; readonly appId: string; readonly stage: StageKey }
  | {
      readonly do: 'PromoteKey';
      readonly appId: string;
      readonly id: string;
      readonly times: RetirementTimes;
      readonly secretName: string;
      readonly announce: Announcements;
    }
  | {
      readonly do: 'SetKeyTimes';
      readonly appId: string;
      readonly id: string;
      readonly times: Omit<KeyRetirement, 'inUseTold'>;
    }
  | {
      readonly do: 'TellKeyInUse';
      readonly appId: string;
      readonly id: string;
      readonly reason: string;
      readonly message: string;
      readonly announce: Announcements;
    }
  | {
      readonly do: 'EndKey';
      readonly appId: string;
      readonly id: string;
      readonly inUse: boolean;
      readonly announce: Announcements;
    }
  /** What comes by the clock alone. */
  | { readonly do: 'Announce'; readonly announcement: Announcement }
  /** Where there was none. */
  | { readonly do: 'ApplySecret'; readonly secret: DesiredSecret }
  | { readonly do: 'CreateSecret'; readonly secret: DesiredSecret }
  | { readonly do: 'ReplaceSecret'; readonly seen: StoredSecret; readonly secret: DesiredSecret }
  | { readonly do: 'DeleteSecret'; readonly secret: StoredSecret }
  | {
      readonly do: 'RetireApp';
      readonly appId: string;
      readonly policy: 'Delete' | 'Retain';
      readonly announce: Announcements;
    }
  | { readonly do: 'RemoveFinalizer' }
  | { readonly do: 'Event'; readonly type: 'Normal' | 'Warning'; readonly reason: string; readonly message: string };

export type AppPlan = Plan<AppStep, RelayAppStatus> & {
  /** The keys that are used beyond their overlap; absent: none. */
  readonly oldInUse?: readonly OldInUse[];
};
