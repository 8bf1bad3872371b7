/** Tells the person who runs the tests what takes so long, on stderr. */
export function say(message: string): void {
  process.stderr.write(`[test parts] ${message}\n`);
}
