import { equalInConstantTime } from '../../auth/constant-time.ts';
import { findKeys, hasKey } from '../../auth/app-key.ts';
import { bodyDigestHolds, requestSignatureFault } from '../../auth/request-signature.ts';
import { isAccepted } from '../../directory/token-end.ts';
import { check } from '../check.ts';

export const credentialPresent = check({
  name: 'credential-present',
  doors: ['http'],
  stage: 'arrival',
  refuses: ['authentication_required', 'authentication_scheme_unsupported', 'authentication_ambiguous'],
  refusal: ({ credential }) => {
    if (credential.method === 'none') return 'authentication_required';
    if (credential.method === 'otherScheme') return 'authentication_scheme_unsupported';
    return credential.method === 'ambiguous' ? 'authentication_ambiguous' : undefined;
  },
});

/** The app's own switches, before the credential is looked at: a disabled method says the same to a right and to a wrong one. */
export const methodAllowed = check({
  name: 'method-allowed',
  doors: ['http'],
  stage: 'arrival',
  refuses: ['method_disabled'],
  refusal: ({ app, credential: { method } }) => {
    const allowed = app?.authentication;
    const refused =
      (method === 'bearer' && allowed?.bearer !== true) ||
      (method === 'keyAndSecret' && allowed?.keyAndSecret !== true) ||
      (method === 'signature' && allowed?.signature !== true);
    return refused ? 'method_disabled' : undefined;
  },
});

export const bearerToken = check({
  name: 'bearer-token',
  doors: ['http'],
  stage: 'arrival',
  refuses: ['token_unknown', 'token_expired', 'token_of_other_app'],
  refusal: ({ app, credential, token, now }) => {
    if (credential.method !== 'bearer') return undefined;
    if (token === undefined) return 'token_unknown';
    if (!isAccepted(token, now)) return 'token_expired';
    return token.appId === app?.appId ? undefined : 'token_of_other_app';
  },
});

export const keyAndSecret = check({
  name: 'key-and-secret',
  doors: ['http'],
  stage: 'arrival',
  refuses: ['key_or_secret_wrong'],
  refusal: ({ app, credential, now }) => {
    if (credential.method !== 'keyAndSecret') return undefined;
    const candidates = findKeys(app?.keys ?? [], credential.key, now);
    // Compared also when the key is unknown, so that the two wrongs take the same time; and with every secret that the key has.
    const secrets = candidates.length === 0 ? [''] : candidates.map(({ secret }) => secret.reveal());
    const equal = secrets.map((secret) => equalInConstantTime(secret, credential.secret));
    return candidates.length > 0 && equal.includes(true) ? undefined : 'key_or_secret_wrong';
  },
});

/** A socket lives as long as the key it came with; a signed request with an unknown key needs no body to be refused. */
export const keyActive = check({
  name: 'key-active',
  doors: ['http', 'websocket', 'live'],
  stage: 'arrival',
  refuses: ['key_unknown'],
  refusal: ({ app, credential, now }) => {
    if (credential.method !== 'publicKey' && credential.method !== 'signature') return undefined;
    return app !== undefined && hasKey(app.keys, credential.key, now) ? undefined : 'key_unknown';
  },
});

/** Before the body: only who has signed may have the relay keep one in memory. */
export const requestSignature = check({
  name: 'request-signature',
  doors: ['http'],
  stage: 'arrival',
  refuses: [
    'key_unknown',
    'signature_invalid',
    'signature_version_unsupported',
    'signature_expired',
    'parameter_duplicated',
  ],
  refusal: (visit) =>
    visit.credential.method === 'signature'
      ? requestSignatureFault(visit, visit.app?.keys ?? [], visit.now)
      : undefined,
});

export const bodyDigest = check({
  name: 'body-digest',
  doors: ['http'],
  stage: 'complete',
  refuses: ['body_digest_invalid'],
  refusal: ({ credential: { method }, body, parameters }) =>
    method !== 'signature' || bodyDigestHolds(body, parameters) ? undefined : 'body_digest_invalid',
});
