import { z } from 'zod';
import { isUsablePublicKey } from '../../encryption/public-key.ts';
import { MAX_PUBLIC_KEYS, type PublicKeys, type RegisteredKey } from '../../encryption/public-keys.ts';
import { endpoint, NOTHING, type Endpoint } from '../endpoint.ts';
import { Refused } from '../refuse.ts';

const params = z.object({
  participant: z
    .string()
    .regex(/^[A-Za-z0-9_\-=@,.;:]{1,128}$/, 'must be 1 to 128 letters, digits and _ - = @ , . ; :'),
});
const registered = z.object({
  participant: z.string(),
  public_key: z.string().meta({ description: 'X25519, 32 bytes in base64.' }),
  registered_at: z.iso.datetime(),
});
const SCOPE = 'encryption:manage';

/** Where participants of end-to-end encrypted channels find each other's X25519 public keys (docs/encryption.md). */
export function encryptionEndpoints(keys: PublicKeys, wallClock: () => number): readonly Endpoint[] {
  return [
    endpoint({
      method: 'GET',
      path: '/encryption/keys',
      surface: 'relay',
      scope: SCOPE,
      id: 'listPublicKeys',
      summary: 'List the registered public keys',
      params: NOTHING,
      query: NOTHING,
      body: NOTHING,
      answer: z.object({ keys: z.array(registered) }),
      refusals: ['store_away'],
      handle: async ({ app }) => {
        const list = await keys.list(app.appId);
        if (list === 'away') throw new Refused('store_away');
        return { keys: list.map(shown) };
      },
    }),
    endpoint({
      method: 'PUT',
      path: '/encryption/keys/:participant',
      surface: 'relay',
      scope: SCOPE,
      id: 'registerPublicKey',
      summary: 'Register or replace a public key',
      description: `At most ${MAX_PUBLIC_KEYS} per app. Kept in Redis: register again when it is gone.`,
      params,
      query: NOTHING,
      body: z.object({ public_key: z.string() }),
      answer: registered,
      refusals: ['public_key_invalid', 'public_keys_full', 'store_away'],
      handle: async ({ app, params: { participant }, body }) => {
        if (!isUsablePublicKey(body.public_key)) throw new Refused('public_key_invalid');
        const key = { participant, publicKey: body.public_key, registeredAt: wallClock() };
        const outcome = await keys.put(app.appId, key);
        if (outcome === 'full') throw new Refused('public_keys_full');
        if (outcome === 'away') throw new Refused('store_away');
        return shown(key);
      },
    }),
    endpoint({
      method: 'GET',
      path: '/encryption/keys/:participant',
      surface: 'relay',
      scope: SCOPE,
      id: 'showPublicKey',
      summary: 'Show a public key',
      params,
      query: NOTHING,
      body: NOTHING,
      answer: registered,
      refusals: ['public_key_unknown', 'store_away'],
      handle: async ({ app, params: { participant } }) => {
        const key = await keys.get(app.appId, participant);
        if (key === 'away') throw new Refused('store_away');
        if (key === undefined) throw new Refused('public_key_unknown');
        return shown(key);
      },
    }),
    endpoint({
      method: 'DELETE',
      path: '/encryption/keys/:participant',
      surface: 'relay',
      scope: SCOPE,
      id: 'removePublicKey',
      summary: 'Remove a public key',
      params,
      query: NOTHING,
      body: NOTHING,
      answer: null,
      refusals: ['public_key_unknown', 'store_away'],
      handle: async ({ app, params: { participant } }) => {
        const outcome = await keys.remove(app.appId, participant);
        if (outcome === 'away') throw new Refused('store_away');
        if (outcome === 'unknown') throw new Refused('public_key_unknown');
        return {};
      },
    }),
  ];
}

function shown({ participant, publicKey, registeredAt }: RegisteredKey): z.infer<typeof registered> {
  return { participant, public_key: publicKey, registered_at: new Date(registeredAt).toISOString() };
}
