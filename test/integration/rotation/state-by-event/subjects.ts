import type { RelayKind } from '#crds/relay-object.ts';
import { bearer, keyAndSecret, type Protocol } from '../simulated-client.ts';

export const NAMESPACE = 'shop';
const DAY = 86_400_000;

/** What the objects of the table declare of rotation. */
export const TIMES = { interval: 90 * DAY, overlap: 7 * DAY, grace: DAY, deadline: 28 * DAY };
export const LAST_DAY = Date.UTC(2027, 2, 1);

/** An object of each kind that hands out, or registers, credentials. */
export type Subject = {
  readonly kind: RelayKind;
  readonly name: string;
  /** Where its credential is read; undefined: it hands out none. */
  readonly secret: string | undefined;
  readonly spec: Readonly<Record<string, unknown>>;
  /** What is added to the spec to kill its credentials at once. */
  readonly kill: Readonly<Record<string, unknown>>;
  readonly protocol: Protocol;
};

const FINGERPRINT = 'ab'.repeat(32);
const rotation = { interval: '2160h', overlap: '168h', deadline: '672h' };
const notify = ['platform@example.com'];

const app: Subject = {
  kind: 'RelayApp',
  name: 'checkout',
  secret: 'checkout-relay',
  spec: { rotation: { ...rotation, notify } },
  kill: { enabled: false },
  protocol: keyAndSecret,
};

const token: Subject = {
  kind: 'RelayToken',
  name: 'ci',
  secret: 'ci-token',
  spec: { appRef: { name: 'checkout' }, scopes: ['events:publish'], rotation: { ...rotation, grace: '24h' } },
  kill: { revoked: true },
  protocol: bearer,
};

const certificate: Subject = {
  kind: 'ClientCertificate',
  name: 'till',
  secret: undefined,
  spec: {
    appRef: { name: 'checkout' },
    fingerprint: { sha256: FINGERPRINT, notAfter: new Date(LAST_DAY).toISOString() },
  },
  kill: { revoked: true },
  protocol: {
    identity: () => FINGERPRINT,
    call: (relay, { PUSHER_APP_ID: appId = '' }) => ({
      refusal: relay.certificate({ appId, sha256: FINGERPRINT }),
      credential: FINGERPRINT,
    }),
  },
};

export const subjects = { app, token, certificate } as const;
export type SubjectName = keyof typeof subjects;

/** The app that a token or a certificate is for, where it is not the app itself that is looked at. */
export const APP_OF_OTHERS = { name: 'checkout', secret: 'checkout-relay' } as const;
export const appSpecFor = ({ kind }: Subject): object => ({
  rotation: { interval: '8760h', overlap: '168h', notify },
  ...(kind === 'ClientCertificate' ? { access: { clientCertificates: { required: true } } } : {}),
});
