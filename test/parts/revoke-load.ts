import { Agent, request } from 'node:http';
import type { RelayToken } from '#crds/relay-token.ts';
import type { KubernetesClient } from '#operator/kubernetes/client.ts';
import { RELAY_TOKENS } from '#operator/kubernetes/kinds.ts';

/** One publish with the token that is about to die; times on the monotonic clock, in ms. */
type Attempt = { readonly relay: string; readonly sentAt: number; readonly status: number };

/** What a revocation under load came to. Times in ms after the API server had answered the apply. */
export type Revocation = {
  /** When the last request that was accepted had been sent, over all relays; negative: before the apply was answered. */
  readonly lastAccepted: number;
  /** When a watch showed `Enforced` True for the new generation. */
  readonly enforced: number;
  /** Requests that were sent after that and accepted all the same: must be none. */
  readonly acceptedAfterEnforced: readonly Attempt[];
  readonly acceptedBefore: number;
  readonly refusedAfterEnforced: number;
};

export type RevokeLoadOptions = {
  readonly client: KubernetesClient;
  readonly namespace: string;
  /** Base URLs. */
  readonly relays: readonly string[];
  readonly appId: string;
  /** Name and value of the RelayToken to revoke. */
  readonly name: string;
  readonly token: string;
  /** Closed loops per relay that publish with it. */
  readonly lanes: number;
};

/** Publishes of each lane that must have been refused after `Enforced` before the load ends. */
const REFUSED_PER_LANE = 5;

/**
 * Publishes at every relay in closed loops with one token, revokes it meanwhile by a server-side apply of `revoked: true`, and goes on
 * until every lane was refused several times after the watch said Enforced.
 */
export async function revokeUnderLoad(options: RevokeLoadOptions): Promise<Revocation> {
  const { client, namespace, relays, name, lanes } = options;
  const agent = new Agent({ keepAlive: true });
  const attempts: Attempt[] = [];
  let enforcedAt = Number.POSITIVE_INFINITY;
  const lane = async (relay: string): Promise<void> => {
    for (let refused = 0; refused < REFUSED_PER_LANE;) {
      const sentAt = performance.now();
      const status = await publishOnce(agent, relay, options);
      attempts.push({ relay, sentAt, status });
      if (sentAt > enforcedAt && status !== 200) refused += 1;
      if (sentAt > enforcedAt && status === 200) return;
    }
  };
  const running = relays.flatMap((relay) => Array.from({ length: lanes }, () => lane(relay)));
  const before = await client.get<RelayToken>(RELAY_TOKENS, { namespace, name });
  if (before === undefined) throw new Error(`there is no RelayToken ${name}`);
  await untilAccepted(attempts, relays);

  const revoked = await client.mergePatch<RelayToken>(RELAY_TOKENS, {
    metadata: { namespace, name },
    spec: { revoked: true },
  });
  const appliedAt = performance.now();
  await whenEnforced(client, revoked);
  enforcedAt = performance.now();
  await Promise.all(running);
  agent.destroy();
  const accepted = attempts.filter(({ status }) => status === 200);
  return {
    lastAccepted: Math.max(...accepted.map(({ sentAt }) => sentAt)) - appliedAt,
    enforced: enforcedAt - appliedAt,
    acceptedAfterEnforced: accepted.filter(({ sentAt }) => sentAt > enforcedAt),
    acceptedBefore: accepted.filter(({ sentAt }) => sentAt <= appliedAt).length,
    refusedAfterEnforced: attempts.filter(({ sentAt, status }) => sentAt > enforcedAt && status === 401).length,
  };
}

/** The load is on when every relay has accepted something. */
async function untilAccepted(attempts: readonly Attempt[], relays: readonly string[]): Promise<void> {
  while (!relays.every((relay) => attempts.some((attempt) => attempt.relay === relay && attempt.status === 200)))
    await new Promise((resolve) => setImmediate(resolve));
}

/** Resolves when a watch shows the object as of this generation, or a later one, enforced by every relay. */
async function whenEnforced(client: KubernetesClient, { metadata }: RelayToken): Promise<void> {
  const { namespace, name, resourceVersion = '', generation } = metadata;
  const events = client.watch<RelayToken>(RELAY_TOKENS, {
    namespace,
    fieldSelector: `metadata.name=${name}`,
    resourceVersion,
    timeoutSeconds: 60,
    allowWatchBookmarks: false,
  });
  for await (const event of events) {
    if (event.type !== 'MODIFIED') continue;
    const enforced = event.object.status?.conditions?.find(({ type }) => type === 'Enforced');
    if (enforced?.status === 'True' && (enforced.observedGeneration ?? 0) >= generation) return;
  }
  throw new Error(`RelayToken ${name} was not enforced within a minute`);
}

function publishOnce(agent: Agent, relay: string, { appId, token }: RevokeLoadOptions): Promise<number> {
  const body = JSON.stringify({ name: 'created', channel: 'orders', data: '{}' });
  return new Promise((resolve, reject) => {
    const sent = request(
      `${relay}/api/v1/apps/${appId}/events`,
      { method: 'POST', agent, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' } },
      (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode ?? 0));
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}
