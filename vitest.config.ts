import { defineConfig } from 'vitest/config';
import { LANES } from './test/parts/lanes.ts';

// Three projects, by what they need: `unit` needs nothing, `integration` needs PostgreSQL and Redis processes, `e2e` needs a
// Kubernetes control plane. Tests that need nothing live beside the code; the others live in test/.
export default defineConfig({
  test: {
    maxWorkers: LANES,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{crds,operator,relay,standalone}/**/*.test.ts'],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          globalSetup: ['test/parts/postgres-setup.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          globalSetup: ['test/parts/postgres-setup.ts', 'test/parts/control-plane-setup.ts'],
          testTimeout: 180_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
