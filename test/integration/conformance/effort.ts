/**
 * How many runs a property gets: `runs`, times TEST_EFFORT where somebody has more time than CI (CONTRIBUTING.md). A property that
 * fails prints its seed.
 */
export function effort(runs: number): { readonly numRuns: number } {
  return { numRuns: Math.round(runs * Number(process.env['TEST_EFFORT'] ?? 1)) };
}
