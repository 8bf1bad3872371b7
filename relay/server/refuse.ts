import { STATUS_CODES } from 'node:http';
import { refusalOf, type RefusalCode } from '../gate/refusals.ts';
import type { Answer } from './answer.ts';
import { countRefusal, type RelayMetrics } from './metrics.ts';

/** A refusal on its way out of a route. `message` replaces the table's where there is more to say (which field, which limit). */
export class Refused extends Error {
  readonly code: RefusalCode;
  constructor(code: RefusalCode, message?: string) {
    super(message ?? refusalOf(code).message);
    this.name = 'Refused';
    this.code = code;
  }
}

/** Answers with the refusal's status and `{"error":{"code","message"}}`, and counts it. */
export function sendRefusal(answer: Answer, metrics: RelayMetrics, refused: Refused): void {
  countRefusal(metrics, 'http', refused.code);
  const { status } = refusalOf(refused.code);
  if (status === 401) answer.header('www-authenticate', challenge(refused.code));
  if (status === 413) answer.header('connection', 'close');
  answer.send(status, refusalBody(refused.code, refused.message));
}

/** RFC 9110, 11.6.1 demands one with every 401. Of three ways to authenticate only Bearer is a scheme of HTTP (RFC 6750, 3). */
function challenge(code: RefusalCode): string {
  const realm = 'Bearer realm="relay"';
  return code === 'token_unknown' || code === 'token_expired' ? `${realm}, error="invalid_token"` : realm;
}

/**
 * The same for what never became a request of the API: all that goes over a bare connection, which ends with it.
 * @param message as for {@link Refused}. @param headers besides, each with its line end.
 */
export function bareRefusal(code: RefusalCode, requestId: string, message?: string, headers = ''): string {
  const { status, message: usual } = refusalOf(code);
  const body = refusalBody(code, message ?? usual);
  return (
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Type: application/json\r\n` +
    `X-Request-Id: ${requestId}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${headers}\r\n${body}`
  );
}

function refusalBody(code: RefusalCode, message: string): string {
  return JSON.stringify({ error: { code, message } });
}
