import { open, readFile } from 'node:fs/promises';

const STEP = 4 * 1024 * 1024;

/**
 * Which of these texts and byte strings stand somewhere in the writable memory of a process of ours: heap, buffers and stacks alike.
 * Linux (`/proc`); the process must be frozen or quiet, because memory that moves meanwhile is seen once or not at all.
 */
export async function foundInMemory(pid: number, needles: Readonly<Record<string, Buffer>>): Promise<string[]> {
  const overlap = Math.max(...Object.values(needles).map(({ length }) => length)) - 1;
  const found = new Set<string>();
  const memory = await open(`/proc/${pid}/mem`, 'r');
  try {
    for (const { from, to } of await writableRegions(pid)) {
      for (let at = from; at < to; at += STEP) {
        const bytes = await readAt(memory, at, Math.min(STEP + overlap, to - at));
        for (const [name, needle] of Object.entries(needles)) if (bytes.includes(needle)) found.add(name);
      }
    }
  } finally {
    await memory.close();
  }
  return [...found].sort();
}

async function writableRegions(pid: number): Promise<{ from: number; to: number }[]> {
  const maps = await readFile(`/proc/${pid}/maps`, 'latin1');
  return [...maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw/gm)].map(([, from = '', to = '']) => ({
    from: Number.parseInt(from, 16),
    to: Number.parseInt(to, 16),
  }));
}

/** Nothing where the region is gone, or may not be read. */
async function readAt(memory: Awaited<ReturnType<typeof open>>, position: number, length: number): Promise<Buffer> {
  try {
    const { buffer, bytesRead } = await memory.read(Buffer.alloc(length), 0, length, position);
    return buffer.subarray(0, bytesRead);
  } catch {
    return Buffer.alloc(0);
  }
}
