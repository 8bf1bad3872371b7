import { check } from '../check.ts';

/** A socket lives as long as the RelayToken that signed for what it subscribed to. A rotation is no end: the next token is of the same one. */
export const relayTokenAccepted = check({
  name: 'relay-token-accepted',
  doors: ['live'],
  stage: 'arrival',
  refuses: ['token_revoked'],
  refusal: ({ relayTokensAccepted }) => (relayTokensAccepted ? undefined : 'token_revoked'),
});
