import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { EXAMPLE, type ServedApp } from '../serving.ts';

const FILES = [
  { path: '/', file: join(import.meta.dirname, 'page.html'), type: 'text/html; charset=utf-8' },
  { path: '/page/page.js', file: join(import.meta.dirname, 'page.js'), type: 'text/javascript; charset=utf-8' },
  { path: '/page/page.css', file: join(import.meta.dirname, 'page.css'), type: 'text/css; charset=utf-8' },
  { path: '/page/pusher.js', file: 'pusher-js/dist/web/pusher.min.js', type: 'text/javascript; charset=utf-8' },
] as const;

/** Only what this server serves: no other host, no inline script. WebSockets to ourselves are `'self'` in current browsers. */
const POLICY = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
};

/** The page that shows events arriving. `apps` is asked at every load; it holds public keys and no secret. */
export async function createPageRoutes(apps: () => readonly ServedApp[]): Promise<(app: FastifyInstance) => void> {
  const { resolve } = createRequire(import.meta.url);
  const contents = await Promise.all(
    FILES.map(async ({ file, ...route }) => ({
      ...route,
      body: await readFile(file.startsWith('pusher-js/') ? resolve(file) : file),
    })),
  );
  return (app) => {
    for (const { path, type, body } of contents) {
      app.get(path, async (_request, reply) => reply.headers(POLICY).type(type).send(body));
    }
    app.get('/page/apps.json', async (_request, reply) =>
      reply.headers(POLICY).type('application/json').send({ channel: EXAMPLE.channel, served: apps() }),
    );
  };
}
