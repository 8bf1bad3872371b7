import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { FakeClock } from '#test/parts/fake-clock.ts';
import { ExpiredError, MalformedStreamError, TransientError } from './errors.ts';
import type { ListerWatcher, ListOptions, ListPage, WatchEvent, WatchOptions } from './lister-watcher.ts';
import { Reflector } from './reflector.ts';
import { Store } from './store.ts';

type Thing = { metadata: { name: string; namespace: string; uid: string; resourceVersion: string } };
type Answer = ListPage<Thing> | Error;
/** What a watch yields; an Error breaks it; `hang` says nothing more until it is cut; the end of the list ends it in order. */
type Stream = (WatchEvent<Thing> | Error | 'hang')[];

function thing(name: string, version: number, uid = `uid-${name}`): Thing {
  return { metadata: { name, namespace: 'shop', uid, resourceVersion: String(version) } };
}

const opened = { type: 'OPENED' } as const;

/** A server whose every answer is written down beforehand; out of answers, it hangs. */
class Script implements ListerWatcher<Thing> {
  readonly lists: Omit<ListOptions, 'signal'>[] = [];
  readonly watches: Omit<WatchOptions, 'signal'>[] = [];
  readonly #answers: Answer[];
  readonly #streams: Stream[];

  constructor(answers: Answer[], streams: Stream[]) {
    this.#answers = answers;
    this.#streams = streams;
  }

  async list({ signal, ...options }: ListOptions): Promise<ListPage<Thing>> {
    this.lists.push(options);
    const answer = this.#answers.shift() ?? (await hang(signal));
    if (answer instanceof Error) throw answer;
    return answer;
  }

  async *watch({ signal, ...options }: WatchOptions): AsyncGenerator<WatchEvent<Thing>> {
    this.watches.push(options);
    for (const event of this.#streams.shift() ?? [opened, 'hang' as const]) {
      if (event instanceof Error) throw event;
      yield event === 'hang' ? await hang(signal) : event;
    }
  }
}

function hang(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
}

function page(items: Thing[], version: number, next?: string): ListPage<Thing> {
  return { items, resourceVersion: String(version), ...(next === undefined ? {} : { continue: next }) };
}

async function run(answers: Answer[], streams: Stream[], ms: number) {
  const clock = new FakeClock();
  const lines: { msg: string }[] = [];
  const log = pino(
    { level: 'info' },
    { write: (line: string) => void lines.push(JSON.parse(line) as { msg: string }) },
  );
  const store = new Store<Thing>({ log });
  const seen: string[] = [];
  store.subscribe(
    ({ type, object: { metadata } }) => void seen.push(`${type} ${metadata.uid}@${metadata.resourceVersion}`),
  );
  const source = new Script(answers, streams);
  const reflector = new Reflector({ name: 'things', source, store, clock, random: () => 0.5, log });
  const stop = new AbortController();
  const running = reflector.run(stop.signal);
  await clock.advance(ms);
  const end = async (): Promise<void> => {
    stop.abort();
    await running;
    expect(clock.sleeping).toBe(0);
  };
  return { clock, store, seen, source, reflector, end, log: () => lines.map(({ msg }) => msg) };
}

describe('list', () => {
  test('asks the cache first, in pages, and watches from where the list was', async () => {
    const first = page([thing('a', 1)], 10, 'more');
    const r = await run([first, page([thing('b', 2)], 10)], [], 0);
    expect(r.source.lists).toEqual([
      { limit: 500, resourceVersion: '0' },
      { limit: 500, resourceVersion: '', continue: 'more' },
    ]);
    expect(r.store.size).toBe(2);
    expect(r.source.watches).toEqual([{ resourceVersion: '10', timeoutSeconds: 450, allowWatchBookmarks: true }]);
    await r.end();
  });

  test('a page that is gone: everything at once, from storage', async () => {
    const answers = [page([thing('a', 1)], 10, 'more'), new ExpiredError('gone'), page([thing('a', 1)], 12)];
    const r = await run(answers, [], 1000);
    expect(r.source.lists[2]).toEqual({ limit: 0, resourceVersion: '' });
    expect(r.store.size).toBe(1);
    await r.end();
  });

  test('fails until it works: one line per outage, one on recovery, ready again', async () => {
    const down = new TransientError('ECONNREFUSED', 'refused');
    const r = await run([down, down, down, down], [], 10_000);
    expect(r.reflector.health()).toMatchObject({ hasSynced: false, lastError: { code: 'ECONNREFUSED' } });
    expect(r.reflector.health().since).toBe(Date.UTC(2026, 0, 1));
    expect(r.log()).toEqual(['list or watch failed, trying again']);
    await r.end();

    const s = await run([down, down, down, page([], 1)], [], 20_000);
    expect(s.reflector.health()).toEqual({ hasSynced: true, lastError: null, since: null });
    expect(s.log()).toEqual(['list or watch failed, trying again', 'list and watch work again']);
    await s.end();
  });

  test('waits as long as the server asks with Retry-After', async () => {
    const busy = new TransientError('TooManyRequests', 'busy', { retryAfterMs: 7000 });
    const r = await run([busy, page([], 1)], [], 6999);
    expect(r.source.lists).toHaveLength(1);
    await r.clock.advance(1);
    expect(r.store.hasSynced()).toBe(true);
    await r.end();
  });
});

describe('watch', () => {
  test('goes on from the last event or bookmark when the server ends it', async () => {
    const first: Stream = [
      opened,
      { type: 'ADDED', object: thing('a', 11) },
      { type: 'BOOKMARK', resourceVersion: '20' },
    ];
    const r = await run([page([], 10)], [first], 1000);
    expect(r.source.watches.map(({ resourceVersion }) => resourceVersion)).toEqual(['10', '20']);
    expect(r.source.lists).toHaveLength(1);
    expect(r.log()).toEqual([]);
    await r.end();
  });

  test('410, as an answer or in the stream: a list from storage, without an outage', async () => {
    const r = await run([page([thing('a', 1)], 10), page([], 30)], [[opened, new ExpiredError('too old')]], 1000);
    expect(r.source.lists[1]).toEqual({ limit: 500, resourceVersion: '' });
    expect(r.seen).toEqual(['added uid-a@1', 'deleted uid-a@1']);
    expect(r.source.watches[1]).toMatchObject({ resourceVersion: '30' });
    expect(r.log()).toEqual([]);
    await r.end();
  });

  test('410 again and again is not asked in a tight loop', async () => {
    const answers = Array.from({ length: 1000 }, (_, i) => page([], i));
    const streams = Array.from({ length: 1000 }, (): Stream => [new ExpiredError('too old')]);
    const r = await run(answers, streams, 60_000);
    expect(r.source.lists.length).toBeLessThan(10);
    await r.end();
  });

  test('accepted and hung up at once, again and again, is not asked in a tight loop', async () => {
    const r = await run(
      [page([], 1)],
      Array.from({ length: 1000 }, (): Stream => [opened]),
      60_000,
    );
    expect(r.source.watches.length).toBeLessThan(12);
    await r.end();
  });

  test('a broken stream is taken up again from the last position, with a growing pause', async () => {
    const broken: Stream = [
      opened,
      { type: 'ADDED', object: thing('a', 11) },
      new TransientError('ECONNRESET', 'reset'),
    ];
    const r = await run([page([], 10)], [broken], 1000);
    expect(r.source.watches.map(({ resourceVersion }) => resourceVersion)).toEqual(['10', '11']);
    expect(r.source.lists).toHaveLength(1);
    expect(r.log()).toEqual(['list or watch failed, trying again', 'list and watch work again']);
    await r.end();
  });

  test('a stream that cannot be understood is reported and listed again', async () => {
    const r = await run(
      [page([], 10), page([thing('a', 5)], 12)],
      [[opened, new MalformedStreamError('half a line')]],
      1000,
    );
    expect(r.source.lists).toHaveLength(2);
    expect(r.store.size).toBe(1);
    expect(r.log()).toEqual(['list or watch failed, trying again', 'list and watch work again']);
    await r.end();
  });

  test('silence for three minutes: the connection is taken for half-open and opened anew', async () => {
    const r = await run([page([], 10)], [[opened, 'hang']], 179_999);
    expect(r.source.watches).toHaveLength(1);
    await r.clock.advance(1);
    expect(r.source.watches).toHaveLength(2);
    expect(r.log()).toEqual([]);
    await r.end();
  });

  test('bookmarks keep it alive, until the client has waited longer than the server said', async () => {
    const clock = new FakeClock();
    const log = pino({ level: 'silent' });
    let watches = 0;
    const source: ListerWatcher<Thing> = {
      list: () => Promise.resolve(page([], 1)),
      async *watch({ signal }) {
        watches += 1;
        for (let version = 2; ; version += 1) {
          await clock.sleep(60_000, signal);
          yield { type: 'BOOKMARK', resourceVersion: String(version) };
        }
      },
    };
    const store = new Store<Thing>({ log });
    const reflector = new Reflector({ name: 'things', source, store, clock, random: () => 0, log });
    const stop = new AbortController();
    const running = reflector.run(stop.signal);
    await clock.advance(329_000);
    expect(watches).toBe(1);
    await clock.advance(2000);
    expect(watches).toBe(2);
    stop.abort();
    await running;
  });

  test('deleted and created again under one name is a deletion and an addition, in a watch and across a list', async () => {
    const streams: Stream[] = [
      [opened, { type: 'MODIFIED', object: thing('a', 15, 'second') }, new ExpiredError('too old')],
    ];
    const r = await run([page([thing('a', 1, 'first')], 10), page([thing('a', 25, 'third')], 30)], streams, 1000);
    expect(r.seen).toEqual([
      'added first@1',
      'deleted first@1',
      'added second@15',
      'deleted second@15',
      'added third@25',
    ]);
    await r.end();
  });

  test('replayed old events change nothing and do not move the position back', async () => {
    const stream: Stream = [
      opened,
      { type: 'ADDED', object: thing('a', 20) },
      { type: 'DELETED', object: thing('a', 21) },
      { type: 'ADDED', object: thing('a', 20) },
      { type: 'MODIFIED', object: thing('a', 19) },
    ];
    const r = await run([page([], 10)], [stream], 1000);
    expect(r.seen).toEqual(['added uid-a@20', 'deleted uid-a@21']);
    expect(r.source.watches[1]).toMatchObject({ resourceVersion: '21' });
    await r.end();
  });

  test('a storage that was restored from a backup is believed, although its versions are lower', async () => {
    const r = await run(
      [page([thing('a', 90)], 100), page([thing('a', 40)], 50)],
      [[new ExpiredError('too large')]],
      1000,
    );
    expect(r.store.get('shop/a')?.metadata.resourceVersion).toBe('40');
    expect(r.source.watches[1]).toMatchObject({ resourceVersion: '50' });
    await r.end();
  });
});
