import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from './eventually.ts';
import { freePorts } from './free-port.ts';
import { startRedis, startRedisProcess } from './redis.ts';
import type { RedisOptions, RedisServer } from './redis.ts';
import { temporaryDirectory } from './temporary-directory.ts';

export type ReplicaSet = AsyncDisposable & {
  readonly primary: RedisServer;
  readonly replica: RedisServer;
  /** Makes the replica a primary of its own, whatever became of the primary. The old primary is not told. */
  promote(): Promise<void>;
};

/** A primary and one replica, in sync. `options` apply to both. */
export async function startReplicaSet(options: Omit<RedisOptions, 'port'> = {}): Promise<ReplicaSet> {
  await using stack = new AsyncDisposableStack();
  // A primary otherwise waits 5 s for more replicas before the first synchronisation.
  const args = ['--repl-diskless-sync-delay', '0', ...(options.args ?? [])];
  const primary = stack.use(await startRedis({ ...options, args }));
  const replica = stack.use(
    await startRedis({ ...options, args: [...args, '--replicaof', `${primary.host} ${primary.port}`] }),
  );
  await eventually(async () => (await info(replica, 'replication'))['master_link_status'] === 'up', {
    describe: 'the replica is in sync with its primary',
  });
  const owned = stack.move();
  return {
    primary,
    replica,
    promote: async () => {
      await replica.command('REPLICAOF', 'NO', 'ONE');
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

export type Sentinel = AsyncDisposable & {
  /** The name under which the sentinels know the primary. */
  readonly name: string;
  /** The server that started as primary, and the one that started as its replica. */
  readonly primary: RedisServer;
  readonly replica: RedisServer;
  readonly sentinels: readonly RedisServer[];
  /** The port of the primary, as the first sentinel says now. */
  primaryPort(): Promise<number>;
  /** SENTINEL FAILOVER; resolves when the sentinels name the other server and that one is a primary. */
  failover(): Promise<void>;
};

/** A primary, a replica and three sentinels (quorum 2) that declare it down after `downAfterMs` (default 1 000). */
export async function startSentinel(
  options: Omit<RedisOptions, 'port'> & { readonly downAfterMs?: number } = {},
): Promise<Sentinel> {
  const name = 'relay';
  const { downAfterMs = 1_000, ...redis } = options;
  await using stack = new AsyncDisposableStack();
  const { primary, replica } = stack.use(await startReplicaSet(redis));
  const sentinels: RedisServer[] = [];
  for (let index = 0; index < 3; index += 1) {
    const directory = stack.use(await temporaryDirectory('sentinel'));
    const configuration = join(directory.path, 'sentinel.conf');
    await writeFile(
      configuration,
      [
        `sentinel monitor ${name} 127.0.0.1 ${primary.port} 2`,
        `sentinel down-after-milliseconds ${name} ${downAfterMs}`,
        `sentinel failover-timeout ${name} 10000`,
        ...(redis.password === undefined ? [] : [`sentinel auth-pass ${name} ${redis.password}`]),
        '',
      ].join('\n'),
    );
    sentinels.push(stack.use(await startRedisProcess({}, [configuration, '--sentinel'])));
  }
  const [first] = sentinels;
  if (first === undefined) throw new Error('no sentinel');
  await eventually(
    async () => {
      for (const sentinel of sentinels) {
        const state = pairs(await sentinel.command('SENTINEL', 'MASTER', name));
        if (state['num-slaves'] !== '1' || state['num-other-sentinels'] !== '2' || state['flags'] !== 'master')
          return false;
      }
      return true;
    },
    { timeout: 30_000, describe: 'all sentinels know the replica and each other' },
  );
  const primaryPort = async (): Promise<number> => {
    const address = await first.command('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name);
    return Array.isArray(address) ? Number(address[1]) : 0;
  };
  const owned = stack.move();
  return {
    name,
    primary,
    replica,
    sentinels,
    primaryPort,
    failover: async () => {
      const target = (await primaryPort()) === primary.port ? replica : primary;
      // Refused (NOGOODSLAVE, INPROG) until the sentinel has heard from the replica, and given up again when the sentinel cannot finish
      // in time: asked again until it is done.
      await eventually(
        async () => {
          if ((await primaryPort()) === target.port && (await info(target, 'replication'))['role'] === 'master')
            return true;
          await first.command('SENTINEL', 'FAILOVER', name);
          return false;
        },
        { timeout: 60_000, interval: 500, describe: 'the sentinels name the new primary' },
      );
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

export type Cluster = AsyncDisposable & {
  readonly nodes: readonly RedisServer[];
  /** The node that owns the slot of this key now. */
  ownerOf(key: string): Promise<RedisServer>;
  /**
   * Moves the slot of `key`, and its data, to the next node, as redis-cli's reshard does: clients get ASK while it runs
   * and MOVED afterwards. Returns the new owner.
   */
  moveSlot(key: string): Promise<RedisServer>;
};

const SLOTS = 16_384;

/** A Redis Cluster of three primaries that share all slots. */
export async function startCluster(options: Pick<RedisOptions, 'args' | 'acl'> = {}): Promise<Cluster> {
  await using stack = new AsyncDisposableStack();
  const nodes: RedisServer[] = [];
  const busPorts = await freePorts(3);
  for (const busPort of busPorts) {
    const args = ['--cluster-enabled', 'yes', '--cluster-port', String(busPort), '--cluster-node-timeout', '5000'];
    nodes.push(stack.use(await startRedis({ ...options, args: [...args, ...(options.args ?? [])] })));
  }
  const [first] = nodes;
  if (first === undefined) throw new Error('no node');
  for (const [index, node] of nodes.entries()) {
    const from = Math.floor((index * SLOTS) / nodes.length);
    const to = Math.floor(((index + 1) * SLOTS) / nodes.length) - 1;
    await node.command('CLUSTER', 'ADDSLOTSRANGE', from, to);
    await node.command('CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
    if (node !== first) await first.command('CLUSTER', 'MEET', node.host, node.port, busPorts[index] ?? 0);
  }
  await eventually(
    async () => {
      for (const node of nodes) {
        const state = lines(await node.command('CLUSTER', 'INFO'));
        if (state['cluster_state'] !== 'ok' || state['cluster_known_nodes'] !== '3') return false;
      }
      return true;
    },
    { timeout: 30_000, describe: 'all nodes of the cluster agree' },
  );

  const slotOf = async (key: string): Promise<number> => Number(await first.command('CLUSTER', 'KEYSLOT', key));
  const owner = async (slot: number): Promise<RedisServer> => {
    // [[first slot, last slot, [host, port, id], …], …]
    const ranges = await first.command('CLUSTER', 'SLOTS');
    for (const range of Array.isArray(ranges) ? ranges : []) {
      if (Number(range[0]) > slot || Number(range[1]) < slot) continue;
      const node = nodes.find(({ port }) => port === Number(range[2][1]));
      if (node !== undefined) return node;
    }
    throw new Error(`no node owns slot ${slot}`);
  };
  const owned = stack.move();
  return {
    nodes,
    ownerOf: async (key) => owner(await slotOf(key)),
    moveSlot: async (key) => {
      const slot = await slotOf(key);
      const source = await owner(slot);
      const target = nodes[(nodes.indexOf(source) + 1) % nodes.length];
      if (target === undefined) throw new Error('no other node');
      const sourceId = String(await source.command('CLUSTER', 'MYID'));
      const targetId = String(await target.command('CLUSTER', 'MYID'));
      await target.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', sourceId);
      await source.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', targetId);
      for (;;) {
        const keys = await source.command('CLUSTER', 'GETKEYSINSLOT', slot, 100);
        if (!Array.isArray(keys) || keys.length === 0) break;
        await source.command('MIGRATE', target.host, target.port, '', 0, 5_000, 'KEYS', ...keys.map(String));
      }
      // The target first: it takes a new epoch, and the others believe it.
      for (const node of [target, source, ...nodes.filter((other) => other !== target && other !== source)]) {
        await node.command('CLUSTER', 'SETSLOT', slot, 'NODE', targetId);
      }
      return target;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** A section of INFO, as fields. */
async function info(server: RedisServer, section: string): Promise<Record<string, string>> {
  return lines(await server.command('INFO', section));
}

function lines(text: unknown): Record<string, string> {
  const entries = String(text)
    .split('\r\n')
    .filter((line) => line.includes(':'))
    .map((line): [string, string] => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]);
  return Object.fromEntries(entries);
}

function pairs(reply: unknown): Record<string, string> {
  const flat = Array.isArray(reply) ? reply.map(String) : [];
  const result: Record<string, string> = {};
  for (let index = 0; index + 1 < flat.length; index += 2) result[flat[index] ?? ''] = flat[index + 1] ?? '';
  return result;
}
