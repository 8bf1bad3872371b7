import { expect, test } from 'vitest';
import { signAdmission } from '#crds/directory/admission.ts';
import { signCheckpoint } from '#crds/directory/checkpoint.ts';
import type { Checkpoint } from '#crds/directory/checkpoint.ts';
import { changeDigest, EMPTY_DIGEST } from '#crds/directory/digest.ts';
import { tokenEntryKey } from '#crds/directory/entry-body.ts';
import type { Announcement } from '#crds/directory/report.ts';
import { Keyring } from '#crds/keyring.ts';
import type { DirectoryStore } from '#operator/directory/directory-store.ts';
import type { OutboxRow } from '#operator/directory/registry-log.ts';
import { nextRevision } from '#operator/directory/revision.ts';
import type { DirectoryFeed } from '#relay/directory/feed.ts';
import { eventually } from '#test/parts/eventually.ts';
import { sampleReport } from '#test/parts/sample-report.ts';

const keyring = Keyring.parse(`k1:${Buffer.alloc(32, 5).toString('base64')}`);
const empty = (epoch: number, revision: number): Checkpoint =>
  signCheckpoint(keyring, { epoch, revision, count: 0, digest: EMPTY_DIGEST, keyId: 'k1' });
const key = tokenEntryKey('a'.repeat(64));
const body = { id: 'i', appId: '1', namespace: 'n', name: 'x', environment: 'Live' as const, expiresAt: null };
/** Revision after `from`: sets or removes the one entry. */
function next(from: Checkpoint, isRemoved = false): OutboxRow {
  const held = from.count === 1 ? [{ key, revision: from.revision }] : [];
  return nextRevision(keyring, from, held, [{ key, body: isRemoved ? null : body }]).outbox;
}

export type Link = AsyncDisposable & { readonly store: DirectoryStore; readonly feed: DirectoryFeed };

/** What every link between operator and relay does: run it against each of them. `open` gives an empty one. */
export function directoryLinkContract(open: () => Promise<Link>): void {
  test('nothing is there at first, and nothing can be published on nothing', async () => {
    await using link = await open();
    expect(await link.store.head()).toBeUndefined();
    expect(await link.feed.head()).toBeUndefined();
    expect(await link.store.publish([next(empty(1, 1))])).toBe(0);
    expect(await link.store.beat(empty(1, 1))).toBe(false);
    expect(await link.feed.log(1, 0, 10)).toEqual([]);
  });

  test('a flip needs a whole snapshot and a lower head', async () => {
    await using link = await open();
    const row = next(empty(2, 4));
    const [text = ''] = row.entry.changes;
    expect(await link.store.flip(row.entry)).toBe(false);
    await link.store.fill(2, [{ key, text }]);
    expect(await link.store.flip(row.entry)).toBe(true);
    expect(await link.feed.head()).toMatchObject({ epoch: 2, revision: 5, count: 1, digest: row.entry.digest });
    expect(await link.store.flip(empty(2, 9))).toBe(false);
    expect(await link.store.flip(empty(1, 9))).toBe(false);
    await link.store.discard(2);
    const pages: unknown[] = [];
    for await (const page of link.feed.snapshot(2)) pages.push(...page);
    expect(pages).toEqual([[key, text]]);
  });

  test('a revision is written only on the one before it, and what follows a refused one is refused', async () => {
    await using link = await open();
    await link.store.flip(empty(1, 1));
    const first = next(empty(1, 1));
    const second = next(first.entry);
    const removal = next(second.entry, true);
    expect(await link.store.publish([second, removal])).toBe(0);
    expect(await link.feed.log(1, 1, 10)).toEqual([]);
    expect(await link.store.publish([first, removal])).toBe(1);
    expect(await link.store.publish([second, removal])).toBe(2);
    expect(await link.store.publish([removal])).toBe(0);
    expect(await link.feed.log(1, 1, 2)).toEqual([first.entry, second.entry]);
    expect(await link.feed.log(1, 3, 10)).toEqual([removal.entry]);
    for await (const page of link.feed.snapshot(1)) expect(page).toEqual([]);
    expect(removal.entry.digest).toBe(changeDigest(keyring, 'k1', EMPTY_DIGEST, [], []));
    expect(await link.store.beat(second.entry)).toBe(false);
    expect(await link.store.beat(removal.entry)).toBe(true);
    expect((await link.feed.head())?.beat).toBe(1);
  });

  test('a follower that waits gets the revision as it comes, and nothing when its time is over', async () => {
    await using link = await open();
    const signal = new AbortController().signal;
    await link.store.flip(empty(1, 1));
    expect(await link.feed.follow(1, 1, 20, signal)).toEqual([]);
    const waiting = link.feed.follow(1, 1, 5_000, signal);
    const row = next(empty(1, 1));
    await link.store.publish([row]);
    expect(await waiting).toEqual([row.entry]);
  });

  test('reports are announced and kept until their run is forgotten', async () => {
    await using link = await open();
    const heard: Announcement[] = [];
    const stop = link.store.onReport((announcement) => heard.push(announcement));
    await eventually(async () => {
      await link.feed.report('a', sampleReport());
      return heard.length > 0;
    });
    expect(heard[0]).toEqual({ id: 'a', report: sampleReport() });
    stop();
    const admission = signAdmission(keyring, 'a', { nonce: 'n1', epoch: 1, revision: 1, digest: 'd', keyId: 'k1' });
    await link.store.admit('a', admission);
    expect(await link.feed.admission('a')).toEqual(admission);
    expect(await link.feed.admission('b')).toBeUndefined();
    await link.feed.report('a', sampleReport({ nonce: 'n2' }));
    await link.store.forget('a', 'n1');
    expect([...(await link.store.reports())]).toEqual([['a', sampleReport({ nonce: 'n2' })]]);
    await link.store.forget('a', 'n2');
    expect((await link.store.reports()).size).toBe(0);
    expect(await link.feed.admission('a')).toBeUndefined();
  });
}
