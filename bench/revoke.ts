import { parseArgs } from 'node:util';
import { KubeConfig } from '@kubernetes/client-node';
import { systemClock } from '#operator/engine/clock.ts';
import { KubernetesClient } from '#operator/kubernetes/client.ts';
import { Connection } from '#operator/kubernetes/connection.ts';
import { startControlPlane } from '#test/parts/control-plane.ts';
import { startInstallation } from '#test/parts/installation.ts';
import { startPostgres } from '#test/parts/postgres.ts';
import { revokeUnderLoad, type Revocation } from '#test/parts/revoke-load.ts';
import { Tenant } from '#test/parts/tenant.ts';

// node bench/revoke.ts [--tokens N] [--lanes N]: how long a revoke takes, on a real control plane with two operators and three relays, while
// closed loops publish at every relay with the token that is revoked. Everything shares this machine, the load generator included.

const { values } = parseArgs({
  options: { tokens: { type: 'string', default: '100' }, lanes: { type: 'string', default: '2' } },
});
const tokens = Array.from({ length: Number(values.tokens) }, (_, at) => `token-${at}`);
const NAMESPACE = 'bench-revoke';
/** Milliseconds from the apply to the last request that was accepted (issue: p99). */
const TARGET = 100;

await using stack = new AsyncDisposableStack();
const cluster = stack.use(await startControlPlane());
const postgres = stack.use(await startPostgres());
await cluster.kubectlOk(['apply', '--server-side', '-f', 'crds/generated']);
await cluster.kubectlOk(['create', 'namespace', NAMESPACE]);
const installation = stack.use(
  await startInstallation({
    kubeconfig: cluster.adminKubeconfig,
    namespace: NAMESPACE,
    watchNamespaces: [NAMESPACE],
    relays: 3,
    postgresUrl: postgres.url,
  }),
);
const tenant = new Tenant(cluster, NAMESPACE);
await tenant.apply(tenant.app('shop'), ...tokens.map((name) => tenant.token(name, 'shop')));
await tenant.settled(tokens.length + 1, 'relayapp,relaytoken', 300_000);

const config = new KubeConfig();
config.loadFromFile(cluster.adminKubeconfig);
const connection = stack.use(new Connection(config, systemClock));
const client = new KubernetesClient({ connection, fieldManager: 'bench', userAgent: 'bench' });
const appId = await tenant.value('shop-relay', 'PUSHER_APP_ID');
const relays = installation.relays.map(({ url }) => url);
const lanes = Number(values.lanes);
const seen: Revocation[] = [];
for (const name of tokens) {
  const token = await tenant.value(`${name}-token`, 'RELAY_TOKEN');
  seen.push(await revokeUnderLoad({ client, namespace: NAMESPACE, relays, appId, name, token, lanes }));
}

const row = (title: string, figures: readonly number[]): string => {
  const sorted = figures.toSorted((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN).toFixed(1);
  return `| ${title} | ${at(0.5)} | ${at(0.9)} | ${at(0.99)} | ${at(1)} |`;
};
const last = seen.map(({ lastAccepted }) => lastAccepted);
const wrong = seen.flatMap(({ acceptedAfterEnforced }) => acceptedAfterEnforced).length;
process.stdout.write(
  [
    `${tokens.length} revokes, ${lanes} closed loops at each of ${relays.length} relays; ms after the apply was answered`,
    '',
    '| | p50 | p90 | p99 | max |',
    '| --- | --- | --- | --- | --- |',
    row('the last accepted request was sent', last),
    row(
      '`Enforced` was seen by a watch',
      seen.map(({ enforced }) => enforced),
    ),
    '',
    `Accepted after Enforced: ${wrong} (must be 0). Target: p99 of the last accepted request ≤ ${TARGET} ms.`,
    '',
  ].join('\n'),
);
if (wrong > 0) process.exitCode = 1;
