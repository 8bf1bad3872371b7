import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Certificate } from './certificate.ts';

/** A certificate in a directory as Kubernetes mounts a Secret: `tls.crt` → `..data/tls.crt`, `..data` → a directory of this version; another version is one rename. */
export async function mounted(directory: string, certificate: Certificate) {
  let version = 0;
  const swap = async ({ cert, key }: Certificate): Promise<void> => {
    version += 1;
    const [folder, link] = [`..version-${version}`, `..data-${version}`];
    await mkdir(join(directory, folder));
    await writeFile(join(directory, folder, 'tls.crt'), cert);
    await writeFile(join(directory, folder, 'tls.key'), key);
    await symlink(folder, join(directory, link));
    await rename(join(directory, link), join(directory, '..data'));
  };
  await swap(certificate);
  await symlink('..data/tls.crt', join(directory, 'tls.crt'));
  await symlink('..data/tls.key', join(directory, 'tls.key'));
  return { files: { cert: join(directory, 'tls.crt'), key: join(directory, 'tls.key') }, swap };
}
