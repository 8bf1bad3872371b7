import type { LoadResult } from './load.ts';
import { figureOf } from './measurement.ts';
import type { Figure, Scenario } from './scenarios.ts';
import type { ServerName } from './servers.ts';

/** Of one scenario: per round, what each server gave. */
export type Rounds = readonly Readonly<Partial<Record<ServerName, LoadResult>>>[];

const UNITS: Readonly<Record<Figure, string>> = {
  cpuPerDelivery: 'CPU µs per delivery',
  cpuPerPublish: 'CPU µs per publish',
  memoryPerSocket: 'KiB per socket',
};

/** A scenario's section in Markdown: medians over rounds, and the relay beside each reference as the median of the rounds' ratios. */
export function section(scenario: Scenario, rounds: Rounds): string {
  const isMemory = scenario.figure === 'memoryPerSocket';
  const latencyOf = scenario.figure === 'cpuPerPublish' ? 'publishMicroseconds' : 'deliveryMicroseconds';
  const head = isMemory
    ? ['server', UNITS[scenario.figure], 'relay ÷ this']
    : ['server', UNITS[scenario.figure], 'relay ÷ this', 'a second', 'p50 ms', 'p90 ms', 'p99 ms', 'max ms'];
  const rows = scenario.servers.map((name) => {
    const results = rounds.flatMap((round) => round[name] ?? []);
    const cells = [name, number(median(results.map((result) => figureOf(scenario.figure, result))))];
    cells.push(name === 'relay' || !scenario.servers.includes('relay') ? '' : number(ratio(scenario, rounds, name)));
    if (isMemory) return cells;
    const done = (result: LoadResult): number =>
      scenario.figure === 'cpuPerPublish' ? result.published : result.delivered;
    cells.push(Math.round(median(results.map((result) => done(result) / result.seconds))).toLocaleString('en'));
    for (const part of ['p50', 'p90', 'p99', 'max'] as const) {
      cells.push(number(median(results.map((result) => result[latencyOf][part] / 1000))));
    }
    return cells;
  });
  return [
    `### ${scenario.name}: ${scenario.title}`,
    '',
    ...[head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`),
    '',
    ...(scenario.target === undefined ? [] : [verdict(scenario, rounds), '']),
  ].join('\n');
}

function verdict(scenario: Scenario, rounds: Rounds): string {
  const { target } = scenario;
  if (target === undefined) return '';
  if ('atMost' in target) {
    const value = median(rounds.flatMap(({ relay }) => (relay === undefined ? [] : figureOf(scenario.figure, relay))));
    return `Target: at most ${target.atMost} ${UNITS[scenario.figure]}. ${words(value, target.atMost)}`;
  }
  const value = ratio(scenario, rounds, target.against);
  return `Target: at most ${target.ratio} × ${target.against}. ${words(value, target.ratio)}`;
}

const words = (value: number, limit: number): string =>
  value <= limit ? `Reached: ${number(value)}.` : `Not reached: ${number(value)}.`;

function ratio({ figure }: Scenario, rounds: Rounds, against: ServerName): number {
  return median(
    rounds.flatMap(({ relay, [against]: reference }) =>
      relay === undefined || reference === undefined ? [] : figureOf(figure, relay) / figureOf(figure, reference),
    ),
  );
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

const number = (value: number): string => value.toFixed(value < 1 ? 3 : value < 100 ? 2 : 0);
