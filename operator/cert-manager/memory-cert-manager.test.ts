import { describe } from 'vitest';
import { certManagerContract } from '#test/contracts/cert-manager.ts';
import { MemoryCertManager } from './memory-cert-manager.ts';

describe('cert-manager in memory', () => {
  certManagerContract(async () => {
    const certManager = new MemoryCertManager(() => 0);
    const notAfterOf = (ref: { namespace: string; name: string }): number | null =>
      certManager.find(ref)?.notAfter ?? null;
    return {
      certManager,
      namespace: 'shop',
      ownerUid: 'uid-1',
      install: async () => certManager.install(),
      uninstall: async () => certManager.uninstall(),
      putForeign: async (ref) => certManager.putForeign(ref),
      issue: async (ref, notAfter) => certManager.report(ref, { ready: true, notAfter, trouble: null }),
      fail: async (ref, message) =>
        certManager.report(ref, { ready: true, notAfter: notAfterOf(ref), trouble: { failed: true, message } }),
      [Symbol.asyncDispose]: async () => {},
    };
  });
});
