import { check } from '../check.ts';

/** Before anything about the app: what was sent in plaintext was readable on its way, and must not get an answer that depends on it. */
export const tlsRequired = check({
  name: 'tls-required',
  doors: ['http', 'websocket'],
  stage: 'arrival',
  refuses: ['tls_required'],
  refusal: (visit) => (visit.tlsMissing ? 'tls_required' : undefined),
});
