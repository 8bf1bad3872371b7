import type Pusher from 'pusher';
import { mintToken, MINT_BYTES } from '#crds/token-format.ts';
import type { Relay } from '#relay/relay.ts';
import { MemoryWorld } from '../memory-relay.ts';

export const token = mintToken('Live', new Uint8Array(MINT_BYTES).fill(7));
export const bearer = { authorization: `Bearer ${token.token}` };

type Answer = { readonly status: number; readonly text: string; readonly json: unknown };

/** Two replicas of one app: what is asked of one is seen at the other. */
export class ApiReplicas implements AsyncDisposable {
  readonly world: MemoryWorld;
  readonly relay: Relay;
  readonly other: Relay;

  private constructor(world: MemoryWorld, relay: Relay, other: Relay) {
    this.world = world;
    this.relay = relay;
    this.other = other;
  }

  static async start(): Promise<ApiReplicas> {
    const world = new MemoryWorld();
    await world.directory.setApp();
    await world.directory.setToken(token.sha256);
    return new ApiReplicas(world, await world.relay(), await world.relay());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.relay[Symbol.asyncDispose]();
    await this.other[Symbol.asyncDispose]();
  }

  /** By hand, where only bytes will do. @param body text as it is, anything else as JSON */
  async call(method: string, path: string, body?: unknown, headers: Record<string, string> = bearer): Promise<Answer> {
    const response = await fetch(`http://127.0.0.1:${this.other.port}/api/v1/apps/101${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, text, json: text === '' ? undefined : (JSON.parse(text) as unknown) };
  }
}

export const refused = (status: number, code: string): object => ({ status, json: { error: { code } } });

export const query = async (sdk: Pusher, path: string, params: Record<string, string> = {}): Promise<unknown> =>
  (await sdk.get({ path, params })).json();
