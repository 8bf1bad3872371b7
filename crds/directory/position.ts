import { z } from 'zod';

/** Where the directory stands. Ordered by epoch, then revision; a process never goes to a lower one. */
export const position = z.object({ epoch: z.int().min(0), revision: z.int().min(0) });
export type Position = Readonly<z.infer<typeof position>>;

export const ORIGIN: Position = Object.freeze({ epoch: 0, revision: 0 });

/** Negative when a is before b, 0 when equal, positive when after. */
export function comparePositions(a: Position, b: Position): number {
  return a.epoch === b.epoch ? a.revision - b.revision : a.epoch - b.epoch;
}
