import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { worldContract } from '#test/contracts/world.ts';
import { eventually } from '#test/parts/eventually.ts';
import { openFolderWorld, startFolderWorld } from '#test/parts/folder-world.ts';
import { temporaryDirectory } from '#test/parts/temporary-directory.ts';

describe('the folder as a World', () => {
  worldContract(startFolderWorld);
});

const app = (name: string, spec = '{}'): string =>
  `apiVersion: relay-operator.dev/v1alpha1\nkind: RelayApp\nmetadata:\n  name: ${name}\nspec: ${spec}\n`;
const ref = (name: string) => ({ namespace: 'default', name });

async function emptyFolder() {
  const directory = await temporaryDirectory('folder');
  const folder = join(directory.path, 'manifests');
  await mkdir(folder);
  return { folder, data: join(directory.path, 'data'), [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() };
}

test('objects outlive a restart with uid, generation, finalizers and status', async () => {
  await using place = await emptyFolder();
  await writeFile(join(place.folder, 'a.yaml'), app('shop'));
  const first = await openFolderWorld(place.folder, place.data);
  await first.world.apps.addFinalizer(first.world.apps.get(ref('shop')) ?? expect.fail());
  await first.world.apps.writeStatus(first.world.apps.get(ref('shop')) ?? expect.fail(), { appId: '17' });
  const before = first.world.apps.get(ref('shop'));
  await first[Symbol.asyncDispose]();

  await using second = await openFolderWorld(place.folder, place.data);
  expect(second.world.apps.get(ref('shop'))).toEqual(before);
  expect(second.damaged).toEqual([]);
});

test('a manifest that was taken away while nothing was running is a deletion, which waits for the finalizer', async () => {
  await using place = await emptyFolder();
  await writeFile(join(place.folder, 'a.yaml'), app('shop'));
  const first = await openFolderWorld(place.folder, place.data);
  await first.world.apps.addFinalizer(first.world.apps.get(ref('shop')) ?? expect.fail());
  await first[Symbol.asyncDispose]();
  await rm(join(place.folder, 'a.yaml'));

  await using second = await openFolderWorld(place.folder, place.data);
  await eventually(() => second.world.apps.get(ref('shop'))?.metadata.deletionTimestamp);
});

test('a manifest that comes back during the deletion is a new object once the old one is gone', async () => {
  await using place = await emptyFolder();
  const path = join(place.folder, 'a.yaml');
  await writeFile(path, app('shop'));
  await using running = await openFolderWorld(place.folder, place.data);
  const { apps } = running.world;
  await apps.addFinalizer(apps.get(ref('shop')) ?? expect.fail());
  await rm(path);
  const marked = await eventually(() => {
    const found = apps.get(ref('shop'));
    return found?.metadata.deletionTimestamp !== undefined && found;
  });
  await writeFile(path, app('shop', '{ displayName: back }'));
  await writeFile(join(place.folder, 'seen.yaml'), app('seen'));
  await eventually(() => apps.get(ref('seen')));
  expect(apps.get(ref('shop'))).toEqual(marked);
  await apps.removeFinalizer(marked);
  const back = apps.get(ref('shop'));
  expect(back).toMatchObject({ spec: { displayName: 'back' }, metadata: { generation: 1 } });
  expect(back?.metadata.uid).not.toBe(marked.metadata.uid);
});

test('a mistake keeps what the file declared before, and the rest of the folder goes on', async () => {
  await using place = await emptyFolder();
  const [a, b] = [join(place.folder, 'a.yaml'), join(place.folder, 'b.yaml')];
  await writeFile(a, `${app('one')}---\n${app('two')}`);
  await writeFile(b, app('three'));
  await using running = await openFolderWorld(place.folder, place.data);
  const { apps } = running.world;
  const one = apps.get(ref('one'));

  // One document is wrong, the other has gone: neither is touched. And a file that is no YAML at all.
  await writeFile(a, app('one', '{ limits: { connections: many } }'));
  await eventually(() => running.problems().length === 1);
  expect(running.problems()[0]).toMatchObject({
    file: a,
    line: 5,
    message: 'spec.limits.connections: expected a number, found "many"',
  });
  await writeFile(b, app('three', '{ enabled: false }'));
  await eventually(() => apps.get(ref('three'))?.spec.enabled === false);
  expect(apps.get(ref('one'))).toEqual(one);
  await writeFile(a, 'apiVersion: [\n');
  await eventually(() => running.problems()[0]?.message.startsWith('not valid YAML'));
  await writeFile(a, app('one'));
  await eventually(() => running.problems().length === 0 && apps.get(ref('two')) === undefined);
  expect(apps.get(ref('one'))).toEqual(one);
});

test('a second declaration of an object does not take over, and an immutable field stays', async () => {
  await using place = await emptyFolder();
  const [a, b] = [join(place.folder, 'a.yaml'), join(place.folder, 'b.yaml')];
  await writeFile(b, app('shop', '{ displayName: first }'));
  await using running = await openFolderWorld(place.folder, place.data);
  await writeFile(a, app('shop', '{ displayName: second }'));
  await eventually(() => running.problems().length === 1);
  expect(running.problems()[0]).toMatchObject({ file: a, line: 1 });
  expect(running.problems()[0]?.message).toBe(`RelayApp default/shop is declared twice: see line 1 of ${b}`);
  expect(running.world.apps.get(ref('shop'))?.spec.displayName).toBe('first');
  await rm(a);
  await writeFile(b, app('shop', '\n  displayName: changed\n  appId: "17"'));
  await eventually(() => running.problems()[0]?.message.startsWith('spec.appId: appId is immutable'));
  expect(running.problems()[0]?.line).toBe(7);
  expect(running.world.apps.get(ref('shop'))?.spec.displayName).toBe('first');
});

test('a folder that goes deletes nothing, and is followed again when it is back', async () => {
  await using place = await emptyFolder();
  await writeFile(join(place.folder, 'a.yaml'), app('shop'));
  await using running = await openFolderWorld(place.folder, place.data);
  const { apps } = running.world;
  await rename(place.folder, `${place.folder}.away`);
  await eventually(() => running.problems()[0]?.message.startsWith('the folder cannot be read (ENOENT)'));
  expect(apps.get(ref('shop'))).toBeDefined();
  await rename(`${place.folder}.away`, place.folder);
  await eventually(() => running.problems().length === 0);
  await mkdir(join(place.folder, 'sub'));
  await writeFile(join(place.folder, 'sub', 'b.yml'), app('second'));
  await eventually(() => apps.get(ref('second')));
  expect(apps.get(ref('shop'))?.metadata.deletionTimestamp).toBeUndefined();
});

test('an object is deleted only after it was missing for a while: a save that empties the file first deletes nothing', async () => {
  await using place = await emptyFolder();
  const path = join(place.folder, 'a.yaml');
  await writeFile(path, app('shop'));
  let now = 0;
  await using running = await openFolderWorld(place.folder, place.data, () => now);
  const { apps } = running.world;
  const before = apps.get(ref('shop'));
  await writeFile(path, '');
  await running.look();
  now += 299;
  await running.look();
  expect(apps.get(ref('shop'))).toEqual(before);
  await writeFile(path, app('shop'));
  await running.look();
  now += 299;
  await writeFile(path, '');
  await running.look();
  expect(apps.get(ref('shop'))).toEqual(before);
  now += 300;
  await running.look();
  expect(apps.get(ref('shop'))).toBeUndefined();
});

test('a file with a mistake keeps also what it does not mention any more', async () => {
  await using place = await emptyFolder();
  const path = join(place.folder, 'a.yaml');
  await writeFile(path, `${app('one')}---\n${app('two')}`);
  let now = 0;
  await using running = await openFolderWorld(place.folder, place.data, () => now);
  const { apps } = running.world;
  const lookForLong = async (): Promise<void> => {
    await running.look();
    now += 1_000;
    await running.look();
  };
  for (const text of [app('one', '{ nope: 1 }'), 'kind: [\n']) {
    await writeFile(path, text);
    await lookForLong();
    expect([ref('one'), ref('two')].map((each) => apps.get(each)?.metadata.name)).toEqual(['one', 'two']);
  }
  await writeFile(path, app('one'));
  await lookForLong();
  expect(apps.get(ref('two'))).toBeUndefined();
});

test('what another folder declared stays as it is', async () => {
  await using place = await emptyFolder();
  await using other = await emptyFolder();
  await writeFile(join(place.folder, 'a.yaml'), app('shop'));
  await writeFile(join(other.folder, 'b.yaml'), app('market'));
  const first = await openFolderWorld(place.folder, place.data);
  await first[Symbol.asyncDispose]();
  await using second = await openFolderWorld(other.folder, place.data);
  await rm(join(other.folder, 'b.yaml'));
  await eventually(() => second.world.apps.get(ref('market')) === undefined);
  expect(second.world.declaredElsewhere().map(({ metadata }) => metadata.name)).toEqual(['shop']);
});

test('a damaged status file is told of, and its object starts anew', async () => {
  await using place = await emptyFolder();
  await writeFile(join(place.folder, 'a.yaml'), app('shop'));
  const first = await openFolderWorld(place.folder, place.data);
  await first[Symbol.asyncDispose]();
  const file = join(place.data, 'apps/default/shop.yaml');
  await writeFile(file, 'kind: [');
  await using second = await openFolderWorld(place.folder, place.data);
  expect(second.damaged).toEqual([file]);
  expect(await readFile(file, 'utf8')).toContain('name: shop');
});

test('a Secret that a manifest declares is written nowhere, survives a mistake in its file, and goes only for good', async () => {
  await using place = await emptyFolder();
  const path = join(place.folder, 'secret.yaml');
  const secret = (value: string): string =>
    `apiVersion: v1\nkind: Secret\nmetadata: { name: headers, labels: { relay-operator.dev/referable: "true" } }\nstringData: { X-One: ${value} }\n`;
  await writeFile(path, secret('canary-5cd1'));
  let now = 0;
  await using running = await openFolderWorld(place.folder, place.data, () => now);
  const read = () => running.world.secrets.readReferenced(ref('headers'));
  const found = { kind: 'referable', data: { 'X-One': 'canary-5cd1' } };
  expect(await read()).toEqual(found);

  /** Longer than anything has to be missing for. */
  const later = async (): Promise<void> => {
    for (let look = 0; look < 3; look += 1) {
      now += 1_000;
      await running.look();
    }
  };
  await later();
  expect(await read()).toEqual(found);
  for (const wrong of [secret('[1]'), 'kind: [']) {
    await writeFile(path, wrong);
    await later();
    expect(running.problems()).toHaveLength(1);
    expect(await read()).toEqual(found);
  }

  // An editor that truncates before it writes.
  await writeFile(path, '');
  await running.look();
  expect(await read()).toEqual(found);
  await later();
  expect(await read()).toEqual({ kind: 'absent' });
  const files = await readdir(place.data, { recursive: true, withFileTypes: true });
  const texts = files
    .filter((entry) => entry.isFile())
    .map((entry) => readFile(join(entry.parentPath, entry.name), 'utf8'));
  expect((await Promise.all(texts)).join('\n')).not.toContain('canary-5cd1');
});
