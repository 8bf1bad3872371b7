import type { AddressInfo } from 'node:net';
import { fastify } from 'fastify';
import type { Registry } from 'prom-client';

/** One thing that must work before this process counts as ready. Resolves, or throws what is wrong. */
export type ReadinessCheck = { readonly name: string; readonly check: () => Promise<void> };

export type ServerOptions = {
  readonly host: string;
  readonly metricsPort: number;
  readonly healthPort: number;
  readonly metrics: Registry;
  readonly checks: readonly ReadinessCheck[];
};

/** Probes wait a second or a few. */
const CHECK_MS = 2_000;

export type OperatorServer = AsyncDisposable & { readonly metricsPort: number; readonly healthPort: number };

/** `/metrics` on one port, `/healthz` and `/readyz` on the other: kubelet needs no access to metrics. */
export async function startServer({
  host,
  metricsPort,
  healthPort,
  metrics,
  checks,
}: ServerOptions): Promise<OperatorServer> {
  const metricsApp = fastify();
  metricsApp.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.metrics()));

  const healthApp = fastify();
  healthApp.get('/healthz', () => 'ok\n');
  healthApp.get('/readyz', async (_request, reply) => {
    const results = await Promise.allSettled(checks.map(({ check }) => inTime(check())));
    const lines = checks.map(({ name }, index) => {
      const result = results[index];
      return result?.status === 'rejected' ? `[-] ${name}: ${messageOf(result.reason)}` : `[+] ${name}`;
    });
    const ready = results.every((result) => result.status === 'fulfilled');
    return reply.code(ready ? 200 : 503).send(`${lines.join('\n')}\n`);
  });

  const close = async (): Promise<void> => void (await Promise.all([metricsApp.close(), healthApp.close()]));
  try {
    await Promise.all([metricsApp.listen({ host, port: metricsPort }), healthApp.listen({ host, port: healthPort })]);
  } catch (error) {
    // The other one would keep the process from ending, and answer probes for it.
    await close();
    throw error;
  }
  return {
    metricsPort: portOf(metricsApp.server.address(), metricsPort),
    healthPort: portOf(healthApp.server.address(), healthPort),
    [Symbol.asyncDispose]: close,
  };
}

/** A backend that says nothing is as little ready as one that refuses, and a probe has a deadline of its own. */
async function inTime(check: Promise<void>): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${CHECK_MS} ms`)), CHECK_MS);
  try {
    await Promise.race([check, promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** What a configured port of 0 became. */
function portOf(address: AddressInfo | string | null, configured: number): number {
  return address !== null && typeof address === 'object' ? address.port : configured;
}

function messageOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : 'failed';
}
