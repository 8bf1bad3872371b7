import type { SecretState } from '../reconcile/secret-state.ts';
import type { AppKey, KeyRetirement } from '../registry/app-key-registry.ts';
import type { AppRow } from '../registry/app-registry.ts';

/** The key that is handed out. Every registered app has one. */
export function activeKey({ appId, keys }: AppRow): AppKey {
  const key = keys.find(({ state }) => state === 'Active');
  if (key === undefined) throw new Error(`app ${appId} has no active key`);
  return key;
}

/** The key that is to take its place, while a rotation is under way. */
export function pendingKey({ keys }: AppRow): AppKey | undefined {
  return keys.find(({ state }) => state === 'Pending');
}

export type RetiringKey = AppKey & { readonly retirement: KeyRetirement };

/** Oldest first. */
export function retiringKeys({ keys }: AppRow): readonly RetiringKey[] {
  return keys.flatMap((key) => (key.retirement === null ? [] : [{ ...key, retirement: key.retirement }]));
}

/** Whether the Secret hands out this key. */
export function handsOut(secret: SecretState, { key, secret: value }: AppKey): boolean {
  if (secret.kind !== 'ours') return false;
  const { data } = secret.secret;
  return data['PUSHER_APP_KEY'] === key && data['PUSHER_APP_SECRET'] === value.reveal();
}
