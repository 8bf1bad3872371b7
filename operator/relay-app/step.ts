import type { RelayAppStatus } from '#crds/relay-app.ts';
import type { AppPolicy, WebhookHeaders } from '../registry/app-registry.ts';
import type { DesiredSecret, StoredSecret } from '../world/secrets.ts';

/** One effect. `apply.ts` carries it out, and then everything is observed and planned again. */
export type AppStep =
  | { readonly do: 'AddFinalizer' }
  | { readonly do: 'RegisterApp'; readonly policy: AppPolicy; readonly headers: WebhookHeaders }
  | {
      readonly do: 'TakeBackApp';
      readonly appId: string;
      readonly policy: AppPolicy;
      readonly headers: WebhookHeaders;
    }
  | { readonly do: 'RebindApp'; readonly appId: string }
  | { readonly do: 'UpdateApp'; readonly appId: string; readonly policy: AppPolicy; readonly headers: WebhookHeaders }
  | { readonly do: 'ApplySecret'; readonly secret: DesiredSecret }
  | { readonly do: 'DeleteSecret'; readonly secret: StoredSecret }
  | { readonly do: 'RetireApp'; readonly appId: string; readonly policy: 'Delete' | 'Retain' }
  | { readonly do: 'RemoveFinalizer' }
  | { readonly do: 'Event'; readonly type: 'Normal' | 'Warning'; readonly reason: string; readonly message: string };

export type AppPlan = {
  /** Empty when the world is as declared. */
  readonly steps: readonly AppStep[];
  /** What the status shall say once there are no steps left; absent while there are, and once the object may go. */
  readonly status?: RelayAppStatus;
  /** The revision that the status should wait for a moment, so that one write says both Ready and Enforced. */
  readonly await?: number;
  /** The relays have not all agreed yet. */
  readonly pending?: boolean;
  readonly outcome: { readonly kind: 'done' } | { readonly kind: 'requeueAfter'; readonly ms: number };
};
