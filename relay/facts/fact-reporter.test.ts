import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import type { FactReport, Facts } from '#crds/facts/report.ts';
import { FactReporter } from './fact-reporter.ts';
import type { TakenFacts } from './fact-source.ts';
import { MemoryFacts } from './memory.ts';
import { factMetrics } from './metrics.ts';

const use = (at: number): Facts => ({
  credentialUses: [{ appId: '1', credential: 'k1', at, requests: 1, client: null }],
});

class Scene {
  now = 1_000;
  /** What the source has, report by report. */
  readonly happened: Facts[] = [];
  readonly sink = new MemoryFacts();
  readonly registry = new Registry();
  readonly reporter = new FactReporter({
    sink: this.sink,
    source: { take: () => this.#take() },
    replica: 'relay-0',
    boot: 'b1',
    sign: (report) => JSON.stringify(report),
    wallClock: () => this.now,
    metrics: factMetrics(this.registry),
  });

  async told(): Promise<Partial<FactReport>[]> {
    return (await this.sink.read(1_000)).map(({ text }) => JSON.parse(text) as FactReport);
  }

  #take(): TakenFacts {
    const facts = this.happened.shift() ?? {};
    return { facts, until: this.now, more: this.happened.length > 0 };
  }
}

test('reports with facts are numbered; one without repeats the number, at first and every 30 s', async () => {
  const scene = new Scene();
  await scene.reporter.tell();
  await scene.reporter.tell();
  scene.happened.push(use(2));
  await scene.reporter.tell();
  scene.now += 29_999;
  await scene.reporter.tell();
  scene.now += 1;
  await scene.reporter.tell();
  expect(await scene.told()).toEqual([
    { replica: 'relay-0', boot: 'b1', seq: 0, until: 1_000, last: false, facts: {} },
    { replica: 'relay-0', boot: 'b1', seq: 1, until: 1_000, last: false, facts: use(2) },
    { replica: 'relay-0', boot: 'b1', seq: 1, until: 31_000, last: false, facts: {} },
  ]);
});

test('while Redis is away one report is kept as it is and the source keeps the rest', async () => {
  const scene = new Scene();
  scene.sink.goAway();
  scene.happened.push(use(2));
  await scene.reporter.tell();
  scene.happened.push(use(3));
  scene.now = 9_000;
  await scene.reporter.tell();
  expect(scene.happened).toEqual([use(3)]);
  scene.sink.comeBack();
  await scene.reporter.tell();
  expect(await scene.told()).toMatchObject([
    { seq: 1, until: 1_000, facts: use(2) },
    { seq: 2, until: 9_000, facts: use(3) },
  ]);
  expect(await scene.registry.metrics()).toContain('relay_fact_reports_total{outcome="kept"} 2');
});

test('what does not fit into one report is told at once in the next, and only the last of them is the last', async () => {
  const scene = new Scene();
  scene.happened.push(use(2), use(3));
  await scene.reporter.end();
  expect(await scene.told()).toMatchObject([
    { seq: 1, last: false },
    { seq: 2, last: true },
  ]);
  await scene.reporter.tell();
  expect(await scene.told()).toHaveLength(2);
});

test('an end without news is told too', async () => {
  const scene = new Scene();
  await scene.reporter.tell();
  await scene.reporter.end();
  expect(await scene.told()).toMatchObject([{ last: false }, { seq: 0, last: true, facts: {} }]);
});
