import { MANAGED_LABEL, TOKEN_SECRET_TYPE } from '#crds/api-group.ts';
import { defaultedToken, type RelayToken } from '#crds/relay-token.ts';
import { tokenHash } from '#crds/token-format.ts';
import { withShape } from '../reconcile/secret-state.ts';
import { stagedName } from '../rotation/staging.ts';
import type { DesiredSecret, StoredSecret } from '../world/secrets.ts';

const TOKEN = 'RELAY_TOKEN';

/** The Secret of a token. Without `token` (it is revoked) the value is gone from it and the rest stays. */
export function tokenSecret(
  object: RelayToken,
  appId: string,
  relayUrl: string,
  token: string | undefined,
): DesiredSecret {
  const spec = defaultedToken(object.metadata.name, object.spec);
  return withShape({
    namespace: object.metadata.namespace,
    name: spec.secretName,
    type: TOKEN_SECRET_TYPE,
    labels: { [MANAGED_LABEL]: 'true' },
    annotations: {},
    owner: { kind: 'RelayToken', name: object.metadata.name, uid: object.metadata.uid },
    data: {
      ...(token === undefined ? {} : { [TOKEN]: token }),
      RELAY_APP_ID: appId,
      RELAY_URL: relayUrl,
      ...(spec.expiresAt === undefined ? {} : { RELAY_TOKEN_EXPIRES_AT: spec.expiresAt }),
    },
  });
}

/** Where the next token waits until every relay knows it. */
export function stagedSecret(object: RelayToken, appId: string, relayUrl: string, token: string): DesiredSecret {
  const desired = tokenSecret(object, appId, relayUrl, token);
  return { ...desired, name: stagedName(desired.name) };
}

/** The plain token with this hash, if one of these Secrets holds it. */
export function findToken(secrets: readonly StoredSecret[], sha256: string): string | undefined {
  return secrets
    .map((secret) => secret.data[TOKEN])
    .find((value) => value !== undefined && tokenHash(value) === sha256);
}
