import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { startServer, type OperatorServer } from './server.ts';

const start = (ports: { metricsPort: number; healthPort: number }): Promise<OperatorServer> =>
  startServer({ host: '127.0.0.1', metrics: new Registry(), checks: [], ...ports });

test.each(['metricsPort', 'healthPort'] as const)(
  'when the %s is taken, the other port is given back',
  async (taken) => {
    await using holder = await start({ metricsPort: 0, healthPort: 0 });
    const other = taken === 'metricsPort' ? 'healthPort' : 'metricsPort';
    const free = await start({ metricsPort: 0, healthPort: 0 });
    const port = free[other];
    await free[Symbol.asyncDispose]();
    const ports = { metricsPort: port, healthPort: port, [taken]: holder[taken] };
    await expect(start(ports)).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await using again = await start({ metricsPort: 0, healthPort: 0, [other]: port });
    expect(again[other]).toBe(port);
  },
);
