import { writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { figureOf, measure } from './measurement.ts';
import { section, type Rounds } from './report.ts';
import { scenarios } from './scenarios.ts';

// npm run bench -- [--scenario NAME]… [--rounds N] [--seconds S] [--json FILE]

const { values } = parseArgs({
  options: {
    scenario: { type: 'string', multiple: true },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '5' },
    json: { type: 'string' },
  },
});
const rounds = Number(values.rounds);
const length = { warmupSeconds: 2, seconds: Number(values.seconds) };
const chosen = scenarios.filter(({ name }) => values.scenario === undefined || values.scenario.includes(name));
if (chosen.length === 0 || !(rounds >= 1) || !(length.seconds > 0)) {
  process.stderr.write(`Scenarios: ${scenarios.map(({ name }) => name).join(', ')}; --rounds and --seconds above 0.\n`);
  process.exit(2);
}
if (process.platform !== 'linux' || availableParallelism() < 2) {
  process.stderr.write('The stand needs Linux (epoll, /proc, taskset) and two cores.\n');
  process.exit(2);
}

const measured = new Map<string, Rounds>();
for (let round = 0; round < rounds; round++) {
  for (const scenario of chosen) {
    const results: Record<string, Awaited<ReturnType<typeof measure>>> = {};
    // Another one begins each time: what a noisy neighbour or a warming machine does to the first must not always hit the same.
    const order = scenario.servers
      .map((_, at, all) => all[(at + round) % all.length])
      .filter((name) => name !== undefined);
    for (const name of order) {
      const result = await measure(scenario, name, length);
      results[name] = result;
      const figure = figureOf(scenario.figure, result).toFixed(3);
      process.stderr.write(`round ${round + 1}/${rounds} ${scenario.name} ${name}: ${scenario.figure} ${figure}\n`);
    }
    measured.set(scenario.name, [...(measured.get(scenario.name) ?? []), results]);
  }
}

process.stdout.write(`${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}, ${rounds} rounds\n\n`);
for (const scenario of chosen) process.stdout.write(`${section(scenario, measured.get(scenario.name) ?? [])}\n`);
if (values.json !== undefined) await writeFile(values.json, JSON.stringify(Object.fromEntries(measured), null, 2));
