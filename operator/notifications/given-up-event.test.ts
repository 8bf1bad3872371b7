import { expect, test } from 'vitest';
import type { ClientCertificate } from '#crds/client-certificate.ts';
import type { RelayApp } from '#crds/relay-app.ts';
import type { RelayToken } from '#crds/relay-token.ts';
import type { Objects } from '../world/objects.ts';
import { createGivenUpEvent } from './given-up-event.ts';
import type { Occasion } from './occasion.ts';

const object: RelayApp = {
  apiVersion: 'relay-operator.dev/v1alpha1',
  kind: 'RelayApp',
  metadata: { namespace: 'shop', name: 'checkout', uid: 'u1', generation: 1 },
  spec: {},
};
const certificate: ClientCertificate = {
  ...object,
  kind: 'ClientCertificate',
  spec: { appRef: { name: 'checkout' }, fingerprint: { sha256: 'ab'.repeat(32) } },
};
const occasion: Occasion = {
  kind: 'RelayApp',
  namespace: 'shop',
  name: 'checkout',
  appId: '480192',
  credentialId: 'k1',
  secretName: 'checkout-relay',
  what: 'RotationUpcoming',
  at: 1,
  overlapMs: 1,
};
const notification = {
  id: 1,
  channel: 'Mail',
  recipient: 'a@example.com',
  key: 'k',
  attempts: 1,
  announcedAt: 0,
} as const;

function objects<T extends RelayApp | RelayToken | ClientCertificate>(get: () => T | undefined): Objects<T> {
  const never = (): Promise<void> => Promise.reject(new Error('nothing is written'));
  return { get, addFinalizer: never, removeFinalizer: never, writeStatus: never };
}

test('what is given up is a Warning on its object, and nothing once that is gone', () => {
  const events: string[] = [];
  const recorder = {
    event: ({ kind }: { readonly kind: string }, type: string, reason: string, message: string) =>
      void events.push(`${kind} ${type} ${reason} ${message}`),
  };
  let present: RelayApp | undefined = object;
  const onGivenUp = createGivenUpEvent({
    apps: objects(() => present),
    tokens: objects<RelayToken>(() => undefined),
    certificates: objects<ClientCertificate>(() => certificate),
    recorder,
  });
  onGivenUp({ ...notification, occasion }, 'RCPT TO: 550 no');
  onGivenUp({ ...notification, channel: 'Webhook', recipient: '', occasion }, 'HTTP 404');
  onGivenUp({ ...notification, occasion: { ...occasion, kind: 'ClientCertificate' } }, 'HTTP 404');
  onGivenUp({ ...notification, occasion: null }, 'announced by a newer version');
  present = undefined;
  onGivenUp({ ...notification, occasion }, 'RCPT TO: 550 no');
  expect(events).toEqual([
    'RelayApp Warning NotificationGivenUp RotationUpcoming could not be told to a@example.com: RCPT TO: 550 no',
    'RelayApp Warning NotificationGivenUp RotationUpcoming could not be told to the webhook of this installation: HTTP 404',
    'ClientCertificate Warning NotificationGivenUp RotationUpcoming could not be told to a@example.com: HTTP 404',
  ]);
});
