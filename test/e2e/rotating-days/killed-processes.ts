import { eventually } from '#test/parts/eventually.ts';
import { readyAt, type Installation, type OperatorProcess } from '#test/parts/installation.ts';
import type { ClusterAccess } from '#test/parts/cluster-access.ts';

/** A time in which nobody led, by the clock of the test; `to` is undefined while it lasts. */
export type Outage = { readonly from: number; to: number | undefined };

export type KilledProcessesOptions = {
  readonly cluster: ClusterAccess;
  readonly installation: Installation;
  /** Where the Lease is. */
  readonly namespace: string;
  readonly now: () => number;
};

/** Kills operators and relays with SIGKILL and starts them again, and knows since when things are as they should be. */
export class KilledProcesses {
  readonly #options: KilledProcessesOptions;
  /** By the name of their pods. */
  readonly #operators: Map<string, OperatorProcess>;
  readonly outages: Outage[] = [];
  relays = 0;
  /** A relay takes with it what it had to tell of who uses what: since then nobody can say that a credential is unused. */
  relayBackAt = 0;

  constructor(options: KilledProcessesOptions) {
    this.#options = options;
    this.#operators = new Map(options.installation.operators.map((operator, index) => [`operator-${index}`, operator]));
  }

  /** The process that leads. Another one leads once its lease has run out, 15 s of real time later. */
  async killLeader(): Promise<void> {
    const { installation, now } = this.#options;
    const holder = await this.#holder();
    const name = holder.slice(0, holder.lastIndexOf('_'));
    const leader = this.#operators.get(name);
    if (leader === undefined) throw new Error(`${holder} leads, and is none of ours`);
    const outage: Outage = { from: now(), to: undefined };
    this.outages.push(outage);
    leader.process.signal('SIGKILL');
    await leader.process.exited;
    const next = await installation.startOperator(name);
    this.#operators.set(name, next);
    await eventually(async () => (await this.#holder()) !== holder, {
      timeout: 60_000,
      interval: 250,
      describe: 'another operator leads',
    });
    await readyAt(`${next.healthUrl}/readyz`, next.process);
    outage.to = now();
  }

  async killRelay(index: number): Promise<void> {
    const { installation, now } = this.#options;
    const relay = installation.relays[index];
    if (relay === undefined) throw new Error(`there is no relay ${index}`);
    relay.process.signal('SIGKILL');
    await relay.process.exited;
    this.relays += 1;
    const next = await installation.startRelay(relay.id);
    await readyAt(`${next.managementUrl}/readyz`, next.process);
    this.relayBackAt = now();
  }

  async #holder(): Promise<string> {
    const { cluster, namespace } = this.#options;
    return cluster.kubectlOk([
      '-n',
      namespace,
      'get',
      'lease',
      'relay-operator',
      '-o',
      'jsonpath={.spec.holderIdentity}',
    ]);
  }
}
