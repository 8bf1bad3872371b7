import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

const GIVEN = /^[A-Za-z0-9._-]{1,64}$/;

/** What a request goes by in answers and logs: `X-Request-Id` as it came, else one of ours. */
export type RequestIds = (headers: IncomingHttpHeaders) => string;

/** UUIDs of this boot, whose last group counts: a random one for each request costs more than finding its route. */
export function requestIds(boot: string = randomUUID()): RequestIds {
  const start = boot.slice(0, boot.lastIndexOf('-') + 1);
  let count = 0;
  return (headers) => {
    const given = headers['x-request-id'];
    if (typeof given === 'string' && GIVEN.test(given)) return given;
    count += 1;
    return start + count.toString(16).padStart(12, '0');
  };
}
