import { expect, test } from 'vitest';
import { oldCredentialInUse } from './old-credential.ts';

const told = (requests: number, client: string | null = 'pusher-http-node 5.3.4'): string =>
  oldCredentialInUse({
    kind: 'token',
    id: 'aaaaaaaaaa',
    use: { lastUsedAt: 0, requests, client },
    secretName: 'ci-token',
    until: Date.UTC(2027, 0, 29),
  }).message;

test('which credential, how often, by whom, what to do and until when', () => {
  expect(told(734)).toBe(
    'token aaaaaaaaaa was replaced and is still used (at least 500 requests, last by pusher-http-node 5.3.4): whoever does must read Secret ci-token again; it is refused from 2027-01-29T00:00:00Z on',
  );
  expect(told(1, null)).toContain('still used (at least 1 request): whoever');
});

test('the number is told in steps, so that it seldom makes another text', () => {
  const texts = new Set(Array.from({ length: 1_000 }, (_, requests) => told(requests)));
  expect(texts.size).toBe(9);
});
