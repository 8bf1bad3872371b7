import type { Installation, OperatorProcess } from './installation.ts';

const LINE = /^rest_client_requests_total\{(.*)\} (\d+)$/;
const EARLY = /^relay_operator_early_statuses_total\{kind="(\w+)"\} (\d+)$/;

type Early = { readonly kind: string; readonly count: number };

/** Writes by `METHOD resource`. */
export type Writes = Readonly<Record<string, number>>;

/**
 * What an operator costs an API server, counted where it sends: `rest_client_requests_total` of every operator process that runs. Leases are
 * the price of electing a leader and do not grow with the objects, so they are left out. So are statuses that waited in vain for the relays,
 * which are written once more each: how many there are says how slow this machine is. The operator counts those itself.
 */
export class ApiWrites {
  readonly #installation: () => Installation;

  constructor(installation: () => Installation) {
    this.#installation = installation;
  }

  running(): OperatorProcess[] {
    return this.#installation().operators.filter(({ process }) => !process.ended);
  }

  /** The lines of `/metrics` of all of them. */
  async metrics(): Promise<string[]> {
    const texts = this.running().map(async ({ metricsUrl }) => (await fetch(metricsUrl)).text());
    return (await Promise.all(texts)).flatMap((text) => text.split('\n'));
  }

  async soFar(): Promise<Writes> {
    const counted: Record<string, number> = {};
    const lines = await this.metrics();
    for (const line of lines) {
      const [, labels = '', count = '0'] = LINE.exec(line) ?? [];
      const { method = 'GET', resource = '' } = Object.fromEntries(
        [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, value]) => [key, value]),
      ) as Record<string, string>;
      if (method === 'GET' || resource === 'leases') continue;
      counted[`${method} ${resource}`] = (counted[`${method} ${resource}`] ?? 0) + Number(count);
    }
    for (const { kind, count } of earlyIn(lines)) {
      const what = `PATCH ${kind.toLowerCase()}s`;
      counted[what] = (counted[what] ?? 0) - count;
    }
    return counted;
  }

  /** Statuses so far that waited in vain for the relays. */
  async early(): Promise<readonly Early[]> {
    return earlyIn(await this.metrics());
  }

  async since(before: Writes): Promise<Writes> {
    return Object.fromEntries(
      Object.entries(await this.soFar())
        .map(([what, count]) => [what, count - (before[what] ?? 0)] as const)
        .filter(([, count]) => count > 0),
    );
  }

  /** What an operation costs each of these, one after the other: the one in the middle. */
  async middle(names: readonly string[], operation: (name: string) => Promise<unknown>): Promise<Writes> {
    const costs: Writes[] = [];
    for (const name of names) {
      const before = await this.soFar();
      await operation(name);
      costs.push(await this.since(before));
    }
    return costs.toSorted((a, b) => total(a) - total(b))[Math.floor(costs.length / 2)] ?? {};
  }
}

function earlyIn(lines: readonly string[]): Early[] {
  return lines.flatMap((line) => {
    const [, kind, count] = EARLY.exec(line) ?? [];
    return kind === undefined ? [] : [{ kind, count: Number(count) }];
  });
}

export function total(counted: Writes): number {
  return Object.values(counted).reduce((sum, count) => sum + count, 0);
}
