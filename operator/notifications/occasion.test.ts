import { describe, expect, test } from 'vitest';
import { occasion, occasionKey, type Occasion } from './occasion.ts';

const AT = Date.UTC(2027, 2, 1, 12);
const subject = {
  kind: 'RelayToken',
  namespace: 'shop',
  name: 'ci',
  appId: '480192',
  credentialId: 'Ab3dE6gH9k',
  secretName: 'ci-token',
} as const;
const upcoming: Occasion = { ...subject, what: 'RotationUpcoming', at: AT, overlapMs: 1_000 };
const inUse: Occasion = {
  ...subject,
  what: 'OldCredentialInUse',
  at: AT,
  goneBy: AT + 1,
  use: { lastUsedAt: AT, requests: 3, client: null },
};

const dead: Extract<Occasion, { what: 'DiedInUse' }> = {
  ...subject,
  what: 'DiedInUse',
  why: 'Deadline',
  at: AT,
  use: { lastUsedAt: AT, requests: 3, client: null },
};

describe('the key of an occasion', () => {
  test('says whose credential, and what of it', () => {
    expect(occasionKey(upcoming)).toBe('RelayToken/shop/ci/RotationUpcoming/Ab3dE6gH9k/2027-03-01T12:00:00.000Z');
    expect(occasionKey(inUse)).toBe('RelayToken/shop/ci/OldCredentialInUse/Ab3dE6gH9k');
  });

  test('of what is still to come changes with its time; of what has happened it does not', () => {
    expect(occasionKey({ ...upcoming, at: AT + 1 })).not.toBe(occasionKey(upcoming));
    expect(occasionKey({ ...inUse, at: AT + 1 })).toBe(occasionKey(inUse));
    expect(occasionKey({ ...dead, at: AT + 1 })).toBe(occasionKey(dead));
    // It may be brought back, and die again.
    const certificate = { ...dead, kind: 'ClientCertificate' } as const;
    expect(occasionKey({ ...certificate, at: AT + 1 })).not.toBe(occasionKey(certificate));
    // Its end is declared, so somebody can put it off afterwards, and it ends another time.
    expect(occasionKey({ ...dead, why: 'Expired', at: AT + 1 })).not.toBe(occasionKey({ ...dead, why: 'Expired' }));
  });
});

test('an occasion comes back from its JSON as it was', () => {
  for (const one of [upcoming, inUse]) expect(occasion.parse(JSON.parse(JSON.stringify(one)))).toEqual(one);
});
