import { expect, test } from 'vitest';
import { defaultedCertificate, type DefaultedIssue } from '#crds/client-certificate.ts';
import type { CertManagerEvents } from '#operator/cert-manager/kubernetes-cert-manager.ts';
import { TransientError } from '#operator/engine/errors.ts';
import type { CertManager, DesiredCertificate } from '#operator/world/cert-manager.ts';
import type { ObjectRef } from '#operator/world/object-ref.ts';
import { eventually } from '#test/parts/eventually.ts';

/** A place where cert-manager is not installed yet, and the hands of who installs it and plays its controllers. */
export type CertManagerUnderTest = AsyncDisposable & {
  readonly certManager: CertManager & { subscribe(events: CertManagerEvents): () => void };
  /** A namespace that nothing else uses. */
  readonly namespace: string;
  /** UID of the ClientCertificate `billing`, which is there. */
  readonly ownerUid: string;
  install(): Promise<void>;
  uninstall(): Promise<void>;
  /** Creates a Certificate that belongs to nobody of ours. */
  putForeign(ref: ObjectRef): Promise<void>;
  /** cert-manager vouches for the Secret of this Certificate, whose certificate ends then (epoch ms, whole seconds). */
  issue(ref: ObjectRef, notAfter: number): Promise<void>;
  /** cert-manager gives up on it. */
  fail(ref: ObjectRef, message: string): Promise<void>;
};

/** What cert-manager's port promises (operator/world/cert-manager.ts). Runs against the twin and against a cluster. */
export function certManagerContract(create: () => Promise<CertManagerUnderTest>): void {
  const issue = (more: object = {}): DefaultedIssue => {
    const spec = { appRef: { name: 'shop' }, issue: { issuerRef: { name: 'ca' }, ...more } };
    const { source } = defaultedCertificate('billing', spec);
    return source.kind === 'issue' ? source : expect.fail('not issued');
  };
  const desired = (
    { namespace, ownerUid }: CertManagerUnderTest,
    more: Partial<DesiredCertificate> = {},
  ): DesiredCertificate => ({
    namespace,
    name: 'billing',
    ownerUid,
    issue: issue(),
    ...more,
  });
  const quiet = (error: unknown): boolean => error instanceof TransientError && error.quiet;
  const installed = async (): Promise<CertManagerUnderTest> => {
    const under = await create();
    await under.install();
    await eventually(() => under.certManager.state().kind === 'ready', { timeout: 30_000 });
    return under;
  };

  test('it is missing, comes and goes, and says so each time', async () => {
    await using under = await create();
    const { certManager } = under;
    let told = 0;
    const stop = certManager.subscribe({ changed: () => {}, stateChanged: () => (told += 1) });
    expect(certManager.state()).toMatchObject({ kind: 'missing' });
    expect([certManager.find(desired(under)), await certManager.look(desired(under))]).toEqual([undefined, undefined]);
    await expect(certManager.apply(desired(under))).rejects.toSatisfy(quiet);
    await under.install();
    await eventually(() => certManager.state().kind === 'ready' && told === 1, { timeout: 30_000 });
    await certManager.apply(desired(under));
    await under.uninstall();
    // Found out at once by who asks, by itself within a minute.
    await eventually(
      async () => {
        await certManager.look({ namespace: under.namespace, name: 'other' }).catch(() => {});
        return certManager.state().kind === 'missing' && told === 2;
      },
      // An API server may take a minute to let go of a CRD.
      { timeout: 150_000 },
    );
    expect(certManager.find(desired(under))).toBeUndefined();
    stop();
  });

  test('what was applied is seen at once, as it was asked for; applied again it is the same object', async () => {
    await using under = await installed();
    const { certManager } = under;
    await certManager.apply(desired(under));
    const first = certManager.find(desired(under)) ?? expect.fail('not there');
    expect(first).toMatchObject({ ...desired(under), ready: false, notAfter: null, trouble: null });
    expect(await certManager.look(desired(under))).toEqual(first);
    for (const more of [
      { duration: '24h', renewBefore: '8h' },
      { privateKey: { algorithm: 'Ed25519' } },
      { privateKey: { algorithm: 'RSA', size: 4_096 }, commonName: 'payments', secretName: 'other' },
      { issuerRef: { name: 'prod', kind: 'AWSPCAClusterIssuer', group: 'awspca.cert-manager.io' } },
    ]) {
      await certManager.apply(desired(under, { issue: issue(more) }));
      expect(certManager.find(desired(under))).toMatchObject({ uid: first.uid, issue: issue(more) });
    }
  });

  test("somebody else's Certificate is seen by a look and never changed", async () => {
    await using under = await installed();
    const { certManager } = under;
    const theirs = desired(under, { name: 'theirs' });
    await under.putForeign(theirs);
    const found = await eventually(() => certManager.look(theirs));
    expect(found.ownerUid).toBeUndefined();
    expect(certManager.find(theirs)).toBeUndefined();
    await expect(certManager.apply(theirs)).rejects.toSatisfy(quiet);
    expect(await certManager.look(theirs)).toEqual(found);
    await certManager.apply(desired(under));
    const second = desired(under, { ownerUid: '22222222-2222-4222-8222-222222222222' });
    await expect(certManager.apply(second)).rejects.toSatisfy(quiet);
    expect(certManager.find(second)?.ownerUid).toBe(under.ownerUid);
  });

  test('what cert-manager makes of it is told and seen', async () => {
    await using under = await installed();
    const { certManager, namespace } = under;
    await certManager.apply(desired(under));
    const changes: ObjectRef[] = [];
    const stop = certManager.subscribe({ changed: (ref) => changes.push(ref), stateChanged: () => {} });
    const notAfter = Date.parse('2027-01-01T00:00:00Z');
    await under.issue(desired(under), notAfter);
    await eventually(() => changes.length > 0 && certManager.find(desired(under))?.ready);
    expect(changes[0]).toEqual({ namespace, name: 'billing' });
    expect(certManager.find(desired(under))).toMatchObject({ ready: true, notAfter, trouble: null });
    await under.fail(desired(under), 'the CA said no');
    const { trouble } = await eventually(() => {
      const found = certManager.find(desired(under));
      return found?.trouble != null && found;
    });
    expect(trouble).toEqual({ failed: true, message: 'the CA said no' });
    stop();
  });

  test('deleting asks for the one that was seen; an absent one is a success', async () => {
    await using under = await installed();
    const { certManager, namespace } = under;
    await certManager.apply(desired(under));
    const { name, uid } = certManager.find(desired(under)) ?? expect.fail('not there');
    const other = '33333333-3333-4333-8333-333333333333';
    await expect(certManager.delete({ namespace, name, uid: other })).rejects.toSatisfy(quiet);
    expect(certManager.find(desired(under))).toBeDefined();
    await certManager.delete({ namespace, name, uid });
    expect(certManager.find(desired(under))).toBeUndefined();
    expect(await certManager.look(desired(under))).toBeUndefined();
    await certManager.delete({ namespace, name, uid });
  });
}
