import { canInstallPackages, installPackage, onPath } from './package-manager.ts';

/**
 * The path of a real Redis (or Valkey) server: the one on PATH, else, as root on a system with apt, the package
 * `redis-server`. Rejects with what to do if there is none.
 */
export async function redisServerBinary(): Promise<string> {
  const found = await findServer();
  if (found !== undefined) return found;
  if (!(await canInstallPackages())) {
    throw new Error('No redis-server or valkey-server on PATH. Install Redis 7 or later, or Valkey, and run again.');
  }
  await installPackage('redis-server', async () => (await findServer()) !== undefined);
  const installed = await findServer();
  if (installed === undefined) throw new Error('apt-get installed redis-server, but it is not on PATH');
  return installed;
}

async function findServer(): Promise<string | undefined> {
  return (await onPath('redis-server')) ?? (await onPath('valkey-server'));
}
