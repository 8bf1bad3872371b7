import { closeSync, fsyncSync, linkSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname, basename, join } from 'node:path';

/** Replaces the file at once: whoever reads sees the old text or the new one, also after a crash. */
export function writeFileAtomically(path: string, text: string, mode: number): void {
  const temporary = writeBeside(path, text, mode);
  renameSync(temporary, path);
}

/** Creates the file with its whole text, or throws EEXIST and leaves what is there. */
export function createFileAtomically(path: string, text: string, mode: number): void {
  const temporary = writeBeside(path, text, mode);
  try {
    linkSync(temporary, path);
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** The name of a file being written, which no reader of the directory takes for a finished one. */
export const TEMPORARY = /^\.~/;

function writeBeside(path: string, text: string, mode: number): string {
  const temporary = join(dirname(path), `.~${basename(path)}.${process.pid}`);
  rmSync(temporary, { force: true });
  const file = openSync(temporary, 'wx', mode);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return temporary;
}
