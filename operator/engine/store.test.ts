import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { Store } from './store.ts';

type Thing = {
  metadata: { name: string; namespace: string; uid: string; resourceVersion: string };
  color: string;
};

function thing(name: string, version: number, { uid = `uid-${name}`, color = 'red', namespace = 'shop' } = {}): Thing {
  return { metadata: { name, namespace, uid, resourceVersion: String(version) }, color };
}

function watched(scopes?: readonly string[]) {
  const lines: string[] = [];
  const log = pino({}, { write: (line: string) => void lines.push(line) });
  const store = new Store<Thing, 'color'>({
    log,
    indexes: { color: ({ color }) => [color] },
    ...(scopes === undefined ? {} : { scopes }),
  });
  const seen: string[] = [];
  store.subscribe(({ type, object, initial }) => {
    seen.push(`${type} ${object.metadata.uid}@${object.metadata.resourceVersion}${initial ? ' initial' : ''}`);
  });
  return { store, seen, lines };
}

test('the first list is initial, and says synced', () => {
  const { store, seen } = watched();
  expect(store.hasSynced()).toBe(false);
  store.replace([thing('a', 1)], '5');
  expect(store.hasSynced()).toBe(true);
  store.upsert(thing('b', 6));
  expect(seen).toEqual(['added uid-a@1 initial', 'added uid-b@6']);
});

test('synced only when every scope has been listed; a list of one scope leaves the others alone', () => {
  const { store, seen } = watched(['shop', 'web']);
  store.replace([thing('a', 1)], '5', { scope: 'shop' });
  expect(store.hasSynced()).toBe(false);
  store.replace([thing('b', 2, { namespace: 'web' })], '5', { scope: 'web' });
  expect(store.hasSynced()).toBe(true);
  store.replace([], '9', { scope: 'web' });
  expect(seen.at(-1)).toBe('deleted uid-b@2');
  expect(store.keys()).toEqual(['shop/a']);
});

describe('late and repeated news', () => {
  test('an older version never replaces a newer one, whoever brings it', () => {
    const { store } = watched();
    store.upsert(thing('a', 10, { color: 'blue' }));
    expect(store.upsert(thing('a', 9))).toBe(false);
    store.replace([thing('a', 9)], '9');
    expect(store.get('shop/a')?.color).toBe('blue');
  });

  test('versions compare as integers, not as text', () => {
    const { store } = watched();
    store.upsert(thing('a', 9));
    expect(store.upsert(thing('a', 10))).toBe(true);
  });

  test('the same version again is no event', () => {
    const { store, seen } = watched();
    store.upsert(thing('a', 1));
    expect(store.upsert(thing('a', 1))).toBe(false);
    expect(seen).toHaveLength(1);
  });

  test('the late answer to our own write does not bring a deleted object back', () => {
    const { store } = watched();
    store.upsert(thing('a', 1));
    store.remove(thing('a', 7));
    expect(store.upsert(thing('a', 6))).toBe(false);
    expect(store.get('shop/a')).toBeUndefined();
  });

  test('nor does it after a list that no longer has it', () => {
    const { store } = watched();
    store.upsert(thing('a', 1));
    store.replace([], '7');
    expect(store.upsert(thing('a', 6))).toBe(false);
  });

  test('an object that we wrote after the list was taken survives the list', () => {
    const { store } = watched();
    store.upsert(thing('a', 8));
    store.replace([], '7');
    expect(store.get('shop/a')).toBeDefined();
  });

  test('a repeated old deletion does not take the object of the same name with it', () => {
    const { store } = watched();
    store.upsert(thing('a', 8, { uid: 'second' }));
    expect(store.remove(thing('a', 5, { uid: 'first' }))).toBe(false);
    expect(store.get('shop/a')).toBeDefined();
  });
});

describe('another object under the same name', () => {
  test('in a watch: deleted, then added', () => {
    const { store, seen } = watched();
    store.upsert(thing('a', 1, { uid: 'first' }));
    store.upsert(thing('a', 5, { uid: 'second' }));
    expect(seen).toEqual(['added first@1', 'deleted first@1', 'added second@5']);
  });

  test('in a list: deleted, then added', () => {
    const { store, seen } = watched();
    store.replace([thing('a', 1, { uid: 'first' })], '1');
    store.replace([thing('a', 5, { uid: 'second' })], '6');
    expect(seen).toEqual(['added first@1 initial', 'deleted first@1', 'added second@5']);
    expect(store.upsert(thing('a', 1, { uid: 'first' }))).toBe(false);
  });
});

test('after a restored backup, whose versions start over, the list is believed', () => {
  const { store } = watched();
  store.replace([thing('a', 100), thing('b', 101)], '101');
  store.replace([thing('a', 40)], '50', { rewound: true });
  expect(store.list().map(({ metadata }) => metadata.resourceVersion)).toEqual(['40']);
});

test('an index follows every change', () => {
  const { store } = watched();
  store.upsert(thing('a', 1));
  store.upsert(thing('b', 2));
  store.upsert(thing('a', 3, { color: 'blue' }));
  expect(store.byIndex('color', 'red').map(({ metadata }) => metadata.name)).toEqual(['b']);
  store.remove(thing('b', 4));
  expect(store.byIndex('color', 'red')).toEqual([]);
  expect(store.byIndex('color', 'blue')).toHaveLength(1);
});

test('a handler that throws is logged, and the others still hear of it', () => {
  const { store, seen, lines } = watched();
  store.subscribe(() => {
    throw new Error('broken handler');
  });
  store.subscribe(({ object }) => void seen.push(`second ${object.metadata.name}`));
  store.upsert(thing('a', 1));
  expect(seen).toEqual(['added uid-a@1', 'second a']);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain('broken handler');
});

test('a late subscriber hears first of what is there', () => {
  const { store } = watched();
  store.upsert(thing('a', 1));
  const seen: string[] = [];
  const stop = store.subscribe(({ type, initial }) => void seen.push(`${type} ${initial}`));
  stop();
  store.upsert(thing('b', 2));
  expect(seen).toEqual(['added true']);
});
