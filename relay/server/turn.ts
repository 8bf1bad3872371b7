let ending: Promise<void> | undefined;

/**
 * Resolves when this turn of the event loop has read what had come, the same promise for all who ask in it. Whatever they do next is done
 * one after the other, step by step side by side: code and tables that one request has brought into the processor's caches serve the others
 * that came with it, where between two reads from sockets the kernel's own would have driven them out. Who is alone waits for nothing:
 * the end of the turn comes before the loop sleeps.
 */
export function endOfTurn(): Promise<void> {
  return (ending ??= new Promise((resolve) => {
    setImmediate(() => {
      ending = undefined;
      resolve();
    });
  }));
}
