import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';

/** One file of the folder: its text, or why it cannot be read. */
export type ManifestFile = { readonly path: string } & (
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly message: string }
);

const MANIFEST = /\.ya?ml$/i;
/** More than any manifest: an export of something else that ended up in the folder. */
const MAX_BYTES = 4 * 1024 * 1024;

/**
 * Reads every manifest in the folder and its subfolders, in the order of their paths. Hidden files and folders, `node_modules` and
 * `except` are passed over. Rejects when the folder itself cannot be read.
 */
export async function readManifestFiles(folder: string, except: string): Promise<readonly ManifestFile[]> {
  const paths = await manifestPaths(folder, except);
  const files = await Promise.all(paths.map(readManifest));
  return files.filter((file) => file !== undefined);
}

async function manifestPaths(folder: string, except: string): Promise<string[]> {
  const paths: string[] = [];
  const visit = async (directory: string): Promise<void> => {
    for (const entry of await readdir(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name);
      if (entry.name.startsWith('.') || entry.name === 'node_modules' || path === except) continue;
      if (entry.isDirectory()) await visit(path).catch(ignoreGone);
      else if (MANIFEST.test(entry.name)) paths.push(path);
    }
  };
  await visit(folder);
  // By code point, so that the order is the same on every machine.
  return paths.sort((a, b) => (a < b ? -1 : 1));
}

/** undefined: it has gone since it was listed. */
async function readManifest(path: string): Promise<ManifestFile | undefined> {
  try {
    const found = await stat(path);
    if (!found.isFile()) return undefined;
    if (found.size > MAX_BYTES) return { path, ok: false, message: `too large for a manifest (${found.size} bytes)` };
    return { path, ok: true, text: await readFile(path, 'utf8') };
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT') return undefined;
    return { path, ok: false, message: `cannot be read (${code})` };
  }
}

/** Changes whenever a file is added, removed, renamed or written to. `undefined`: the folder cannot be read. */
export async function folderSignature(folder: string, except: string): Promise<string | undefined> {
  try {
    const paths = await manifestPaths(folder, except);
    const hash = createHash('sha256');
    for (const path of paths) {
      // Gone since it was listed: that is a change too.
      const found = await stat(path).catch(() => undefined);
      hash.update(`${path}\0${found?.ino}\0${found?.size}\0${found?.ctimeMs}\n`);
    }
    return hash.digest('hex');
  } catch {
    // The next look reads the folder, and says why it cannot.
    return undefined;
  }
}

/** A folder that goes while it is read is an empty one; anything else is told. */
function ignoreGone(error: unknown): void {
  if (errorCode(error) !== 'ENOENT') throw error;
}

export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : String(error);
}

/** Whether `path` is in the folder or a subfolder of it. */
export function isInside(folder: string, path: string): boolean {
  return path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}
