import type { ExpiryClock } from './expiry-watch.ts';
import { ExpiryWatch } from './expiry-watch.ts';
import type { RelayMetrics } from './metrics.ts';
import { recheckSockets, reliesOnToken, type Rules } from './rule-changes.ts';
import type { SocketRegistry } from './socket-registry.ts';
import type { RelaySocket } from './socket.ts';

export type SocketRecheckParts = {
  readonly registry: SocketRegistry<RelaySocket>;
  readonly rules: Rules;
  readonly clock: ExpiryClock;
  readonly metrics: RelayMetrics;
};

/**
 * What may end an open socket's right to be open: a change that was published, an end that was known beforehand, a fence, other countries.
 * Each sends the sockets that it may concern through the gate again. Disposing ends it.
 */
export function keepRechecking({ registry, rules, clock, metrics }: SocketRecheckParts): AsyncDisposable {
  const { directory, geography } = rules;
  const recheck = (appIds: Iterable<string>, concerned?: (socket: RelaySocket) => boolean): Promise<void> =>
    recheckSockets(appIds, registry, rules, metrics, concerned);
  const stopChanges = directory.onApplied(async ({ appIds, tokenApps }) => {
    await Promise.all([recheck(appIds), recheck(tokenApps, reliesOnToken)]);
  });
  const ends = new ExpiryWatch({ directory, clock, ended: (appIds) => void recheck(appIds) });
  const stopFence = directory.onStateChange(() => {
    if (directory.fenced()) void recheck([...registry.apps()]);
  });
  const stopGeography = geography.onChange(() => {
    const asking = [...registry.apps()].filter(
      (appId) => (directory.appById(appId)?.access.countries ?? null) !== null,
    );
    void recheck(asking);
  });
  return {
    [Symbol.asyncDispose]: async () => {
      stopChanges();
      await ends[Symbol.asyncDispose]();
      stopFence();
      stopGeography();
    },
  };
}
