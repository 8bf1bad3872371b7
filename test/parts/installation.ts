import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { ClusterAccess } from './cluster-access.ts';
import { eventually } from './eventually.ts';
import { freePorts } from './free-port.ts';
import { createDatabase, queryDatabase } from './postgres-database.ts';
import { startProcess, type RunningProcess } from './process.ts';
import { startRedis, type RedisServer } from './redis.ts';
import { documentedUsers, withUser } from './redis-users.ts';

const ROOT = join(import.meta.dirname, '../..');

export type OperatorProcess = {
  readonly process: RunningProcess;
  readonly healthUrl: string;
  readonly metricsUrl: string;
};
export type RelayProcess = {
  readonly process: RunningProcess;
  readonly url: string;
  readonly port: number;
  readonly managementUrl: string;
  readonly id: string;
};

export type Installation = AsyncDisposable & {
  readonly databaseUrl: string;
  readonly redis: RedisServer;
  /** What the processes were configured with and must never tell: the keys of ENCRYPTION_KEYS and DIRECTORY_KEYS. */
  readonly keyMaterial: readonly string[];
  readonly encryptionKeys: string;
  /** Where Secrets say that the relay is: the first relay. */
  readonly publicUrl: string;
  readonly operators: OperatorProcess[];
  readonly relays: RelayProcess[];
  /** @param env settings of this one beside those of all. */
  startOperator(name: string, env?: Readonly<Record<string, string>>): Promise<OperatorProcess>;
  /** @param env settings of this one beside those of all. */
  startRelay(id: string, env?: Readonly<Record<string, string>>): Promise<RelayProcess>;
};

export type InstallationOptions = {
  /** Of the ServiceAccount that the operator runs as. */
  readonly kubeconfig: string;
  /** Of the Lease. */
  readonly namespace: string;
  readonly watchNamespaces?: readonly string[];
  readonly operators?: number;
  readonly relays?: number;
  /** Redis users, with the passwords below. Default: those of docs/redis.md. */
  readonly acl?: readonly string[];
  readonly operatorPassword?: string;
  readonly relayPassword?: string;
  /** Of a PostgreSQL user of the operator's own, who owns the database. Default: the operator is the superuser. */
  readonly databasePassword?: string;
  /** Settings of the relays beside those that every test needs. */
  readonly relayEnv?: Readonly<Record<string, string>>;
  /** Settings of the operators beside those that every test needs. */
  readonly operatorEnv?: Readonly<Record<string, string>>;
  /** What is run instead of `operator/main.ts` and `relay/main.ts`. */
  readonly programs?: { readonly operator: string; readonly relay: string };
  /** A PostgreSQL server of the test's own, which it stops; its superuser's URL. Default: the run's server. */
  readonly postgresUrl?: string;
};

/** The CRDs, a tenant's namespace and one for the operator itself (`{tenant}-system`), and the product that watches the tenant's. */
export async function installFor(
  cluster: ClusterAccess,
  tenant: string,
  options: Omit<InstallationOptions, 'kubeconfig' | 'namespace' | 'watchNamespaces'> = {},
): Promise<Installation> {
  const namespace = `${tenant}-system`;
  await cluster.kubectlOk(['apply', '--server-side', '-f', 'crds/generated']);
  for (const name of [tenant, namespace]) await cluster.kubectlOk(['create', 'namespace', name]);
  return startInstallation({ ...options, kubeconfig: cluster.adminKubeconfig, namespace, watchNamespaces: [tenant] });
}

/** The product as it is deployed: operator and relay processes over a database and a Redis of their own. All end with it. */
export async function startInstallation(options: InstallationOptions): Promise<Installation> {
  const { kubeconfig, namespace, watchNamespaces = [], operators = 2, relays = 2 } = options;
  const { programs = { operator: 'operator/main.ts', relay: 'relay/main.ts' } } = options;
  const stack = new AsyncDisposableStack();
  try {
    const database = stack.use(
      await createDatabase(options.postgresUrl === undefined ? {} : { server: options.postgresUrl }),
    );
    const databaseUrl = new URL(database.url);
    if (options.databasePassword !== undefined) {
      databaseUrl.username = database.name;
      databaseUrl.password = options.databasePassword;
      await queryDatabase(database.url, `CREATE ROLE ${database.name} LOGIN PASSWORD '${options.databasePassword}'`);
      await queryDatabase(database.url, `ALTER DATABASE ${database.name} OWNER TO ${database.name}`);
    }
    const redis = stack.use(await startRedis({ acl: [...(options.acl ?? (await documentedUsers()))] }));
    const ports = await freePorts(relays);
    const publicUrl = `http://127.0.0.1:${ports[0] ?? 0}`;
    const keys = (id: string): string => `${id}:${randomBytes(32).toString('base64')}`;
    const directoryKeys = keys('d1');
    const redisUrl = (user: 'relay-operator' | 'relay', password: string | undefined): string =>
      password === undefined ? withUser(redis.url, user) : `redis://${user}:${password}@127.0.0.1:${redis.port}`;
    const encryptionKeys = keys('e1');

    const installation: Installation = {
      databaseUrl: database.url,
      redis,
      keyMaterial: [directoryKeys, encryptionKeys].map((text) => text.slice(text.indexOf(':') + 1)),
      encryptionKeys,
      publicUrl,
      operators: [],
      relays: [],
      startOperator: async (name, env) => {
        const [metricsPort = 0, healthPort = 0] = await freePorts(2);
        const process = await startProcess({
          command: join(ROOT, 'node_modules/.bin/node'),
          args: [programs.operator],
          cwd: ROOT,
          env: {
            DATABASE_URL: databaseUrl.href,
            REDIS_URL: redisUrl('relay-operator', options.operatorPassword),
            RELAY_PUBLIC_URL: publicUrl,
            ENCRYPTION_KEYS: encryptionKeys,
            DIRECTORY_KEYS: directoryKeys,
            KUBECONFIG: kubeconfig,
            POD_NAMESPACE: namespace,
            POD_NAME: name,
            WATCH_NAMESPACES: watchNamespaces.join(','),
            HOST: '127.0.0.1',
            METRICS_PORT: String(metricsPort),
            HEALTH_PORT: String(healthPort),
            LOG_LEVEL: 'debug',
            ...options.operatorEnv,
            ...env,
          },
        });
        stack.use(process);
        const operator = {
          process,
          healthUrl: `http://127.0.0.1:${healthPort}`,
          metricsUrl: `http://127.0.0.1:${metricsPort}/metrics`,
        };
        installation.operators.push(operator);
        return operator;
      },
      startRelay: async (id, env) => {
        // Started again it is where it was: clients and Secrets know its address.
        const former = installation.relays.find((relay) => relay.id === id);
        const port = former?.port ?? ports.shift() ?? (await freePorts(1))[0] ?? 0;
        const [metricsPort = 0] = await freePorts(1);
        const process = await startProcess({
          command: join(ROOT, 'node_modules/.bin/node'),
          args: [programs.relay],
          cwd: ROOT,
          env: {
            REDIS_URL: redisUrl('relay', options.relayPassword),
            DIRECTORY_KEYS: directoryKeys,
            RELAY_ID: id,
            HOST: '127.0.0.1',
            PORT: String(port),
            METRICS_PORT: String(metricsPort),
            RELAY_DRAIN_SECONDS: '1',
            LOG_LEVEL: 'debug',
            ...options.relayEnv,
            ...env,
          },
        });
        stack.use(process);
        const relay = {
          process,
          id,
          port,
          url: `http://127.0.0.1:${port}`,
          managementUrl: `http://127.0.0.1:${metricsPort}`,
        };
        if (former === undefined) installation.relays.push(relay);
        else installation.relays[installation.relays.indexOf(former)] = relay;
        return relay;
      },
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
    for (let index = 0; index < relays; index += 1) await installation.startRelay(`relay-${index}`);
    for (let index = 0; index < operators; index += 1) await installation.startOperator(`operator-${index}`);
    await Promise.all(installation.operators.map(({ process, healthUrl }) => readyAt(`${healthUrl}/readyz`, process)));
    await Promise.all(
      installation.relays.map(({ process, managementUrl }) => readyAt(`${managementUrl}/readyz`, process)),
    );
    return installation;
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** Resolves when the probe answers 200; says what the process printed when it does not, at once when it ended. */
export async function readyAt(url: string, process: RunningProcess): Promise<void> {
  await eventually(
    async () => {
      if (process.ended) return true;
      const response = await fetch(url);
      if (!response.ok)
        throw new Error(`${url}: ${response.status} ${await response.text()}\n${process.output().slice(-2000)}`);
      return true;
    },
    { timeout: 60_000, describe: url },
  );
  if (process.ended) throw new Error(`the process ended:\n${process.output().slice(-4000)}`);
}
