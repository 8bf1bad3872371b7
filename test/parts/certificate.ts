import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runProcess } from './process.ts';
import { temporaryDirectory } from './temporary-directory.ts';

export type Certificate = { readonly cert: string; readonly key: string };

/** A certificate that signed itself, for these names (`DNS:a.example`, `IP:127.0.0.1`). Needs openssl. */
export async function selfSigned(...names: readonly string[]): Promise<Certificate> {
  await using directory = await temporaryDirectory('certificate');
  const [cert, key] = [join(directory.path, 'cert.pem'), join(directory.path, 'key.pem')];
  const { code, stderr } = await runProcess({
    command: 'openssl',
    args: [
      ...'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test'.split(' '),
      '-addext',
      `subjectAltName=${names.join(',')}`,
      '-out',
      cert,
      '-keyout',
      key,
    ],
  });
  if (code !== 0) throw new Error(`openssl: ${stderr}`);
  return { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') };
}
