import { expect, test } from 'vitest';
import type { FactStream } from '#operator/facts/fact-stream.ts';
import { MOST_LAST, MOST_WAITING, type FactSink } from '#relay/facts/fact-sink.ts';

export type FactLink = AsyncDisposable & {
  readonly sink: FactSink;
  readonly stream: FactStream;
  /** As FLUSHALL. */
  lose(): Promise<void>;
  /** From now on nothing answers. */
  goAway(): Promise<void>;
};

const texts = async ({ stream }: FactLink, limit = 1_000): Promise<string[]> =>
  (await stream.read(limit)).map(({ text }) => text);

/** What every way of telling the operator does: run it against each of them. `open` gives an empty one. */
export function factLinkContract(open: () => Promise<FactLink>): void {
  test('reports are read in their order, again and again, until they are dropped', async () => {
    await using link = await open();
    expect(await texts(link)).toEqual([]);
    for (const text of ['a', 'b', 'c']) expect(await link.sink.append(text, false)).toBe(true);
    expect(await texts(link)).toEqual(['a', 'b', 'c']);
    const [first, second] = await link.stream.read(2);
    expect([first?.text, second?.text]).toEqual(['a', 'b']);
    const ids = [first?.id ?? '', second?.id ?? ''];
    await link.stream.drop(ids);
    await link.stream.drop(ids);
    await link.stream.drop([]);
    await link.sink.append('d', true);
    expect(await texts(link)).toEqual(['c', 'd']);
  });

  test('as long as nobody reads, only so many wait; last ones are taken longer', async () => {
    await using link = await open();
    for (let sent = 0; sent < MOST_WAITING; sent += 1) expect(await link.sink.append(`${sent}`, false)).toBe(true);
    expect(await link.sink.append('one more', false)).toBe(false);
    expect(await link.sink.append('the last', true)).toBe(true);
    expect((await texts(link, MOST_LAST)).at(-1)).toBe('the last');
    await link.stream.drop((await link.stream.read(2)).map(({ id }) => id));
    expect(await link.sink.append('one more', false)).toBe(true);
  });

  test('what was lost is lost, and it goes on', async () => {
    await using link = await open();
    await link.sink.append('a', false);
    await link.lose();
    expect(await texts(link)).toEqual([]);
    expect(await link.sink.append('b', false)).toBe(true);
    expect(await texts(link)).toEqual(['b']);
  });

  test('while it is away nothing is taken and nobody hangs', async () => {
    await using link = await open();
    await link.sink.append('a', false);
    await link.goAway();
    expect(await link.sink.append('b', false)).toBe(false);
    await expect(link.stream.read(10)).rejects.toBeInstanceOf(Error);
  });
}
