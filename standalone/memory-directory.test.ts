import { directoryLinkContract } from '#test/contracts/directory-link.ts';
import { MemoryDirectory } from './memory-directory.ts';

directoryLinkContract(async () => {
  const { store, feed } = new MemoryDirectory();
  return { store, feed, [Symbol.asyncDispose]: async () => {} };
});
