import type { Token } from '../directory/directory.ts';
import type { Answer } from './answer.ts';

/** Tells whoever still uses a token that was replaced: until when it works, or that its end has come and how long it is still let in. */
export function rotationHeaders(answer: Pick<Answer, 'header'>, { expiresAt, graceUntil }: Token, now: number): void {
  if (expiresAt === null) return;
  answer.header('x-relay-token-rotated', 'true');
  answer.header('x-relay-token-expires', timeOf(expiresAt));
  if (now < expiresAt || graceUntil === null) return;
  answer.header('x-relay-token-expired', 'true');
  answer.header('x-relay-token-grace-until', timeOf(graceUntil));
}

/** RFC 3339 in whole seconds, rounded down: never later than it is. */
function timeOf(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
