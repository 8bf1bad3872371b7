import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { Keyring, Secret } from '#crds/keyring.ts';
import { writeFileAtomically } from './atomic-file.ts';
import { formatEnv, parseEnv } from './folder/env-text.ts';

export type Keys = { readonly encryption: Keyring; readonly directory: Keyring; readonly databasePassword: Secret };

const stored = z.object({
  ENCRYPTION_KEYS: z.string(),
  DIRECTORY_KEYS: z.string(),
  DATABASE_PASSWORD: z.string().min(16),
});

const HEADER = `# Made at the first start. Without these keys nothing that PostgreSQL holds can be read: keep them, and keep them secret.\n`;

/**
 * The keys of this data directory, minted when it has none. Throws an Error that names the file when it is damaged: new keys would lose
 * every credential.
 */
export function openKeys(path: string): Keys {
  if (!existsSync(path)) {
    const keyring = (): string => `k1:${randomBytes(32).toString('base64')}`;
    const minted = {
      ENCRYPTION_KEYS: keyring(),
      DIRECTORY_KEYS: keyring(),
      DATABASE_PASSWORD: randomBytes(24).toString('hex'),
    };
    writeFileAtomically(path, HEADER + formatEnv(minted), 0o600);
  }
  const parsed = stored.safeParse(parseEnv(readFileSync(path, 'utf8')));
  if (!parsed.success) {
    const missing = parsed.error.issues.map((issue) => issue.path.join('.')).join(', ');
    throw new Error(`${path} lacks ${missing}: restore it from a backup, or remove the data directory to begin anew`);
  }
  const { ENCRYPTION_KEYS, DIRECTORY_KEYS, DATABASE_PASSWORD } = parsed.data;
  try {
    return {
      encryption: Keyring.parse(ENCRYPTION_KEYS),
      directory: Keyring.parse(DIRECTORY_KEYS),
      databasePassword: new Secret(DATABASE_PASSWORD),
    };
  } catch (error) {
    throw new Error(`${path} is damaged: restore it from a backup, or remove the data directory to begin anew`, {
      cause: error,
    });
  }
}
