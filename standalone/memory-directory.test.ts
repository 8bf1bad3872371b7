import { directoryLinkContract } from './directory-link-contract.ts';
import { MemoryDirectory } from './memory-directory.ts';

directoryLinkContract(async () => {
  const { store, feed } = new MemoryDirectory();
  return { store, feed, [Symbol.asyncDispose]: async () => {} };
});
