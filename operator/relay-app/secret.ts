import { APP_SECRET_TYPE, MANAGED_LABEL } from '#crds/api-group.ts';
import type { DefaultedApp, RelayApp } from '#crds/relay-app.ts';
import { withShape } from '../reconcile/secret-state.ts';
import type { AppKey } from '../registry/app-key-registry.ts';
import type { AppRow } from '../registry/app-registry.ts';
import { stagedName } from '../rotation/staging.ts';
import type { DesiredSecret } from '../world/secrets.ts';
import type { Endpoints } from './snapshot.ts';

/**
 * The Secret that configures an application by `envFrom` alone, in the names that Pusher SDKs and frameworks read, and as a Service
 * Binding (servicebinding.io: `type`, `provider`, `uri`).
 */
export function appSecret(
  object: RelayApp,
  spec: DefaultedApp,
  row: AppRow,
  key: AppKey,
  endpoints: Endpoints,
): DesiredSecret {
  return secretNamed(spec.secretName, spec.template, { object, spec, row, key, endpoints });
}

/** The same for a key that waits to be handed out, where no application looks: so without what the template says. */
export function stagedSecret(
  object: RelayApp,
  spec: DefaultedApp,
  row: AppRow,
  key: AppKey,
  endpoints: Endpoints,
): DesiredSecret {
  const plain = { labels: {}, annotations: {} };
  return secretNamed(stagedName(spec.secretName), plain, { object, spec, row, key, endpoints });
}

type Content = {
  readonly object: RelayApp;
  readonly spec: DefaultedApp;
  readonly row: AppRow;
  readonly key: AppKey;
  readonly endpoints: Endpoints;
};

function secretNamed(
  name: string,
  { labels, annotations }: DefaultedApp['template'],
  { object: { metadata }, spec, row: { appId }, key: { key, secret: value }, endpoints }: Content,
): DesiredSecret {
  const secret = value.reveal();
  const url = new URL(spec.endpoint === 'Public' ? endpoints.public : endpoints.internal);
  const scheme = url.protocol.replace(':', '');
  const port = url.port === '' ? (scheme === 'https' ? '443' : '80') : url.port;
  // An imported secret may have characters that mean something in a URL.
  const uri = `${scheme}://${key}:${encodeURIComponent(secret)}@${url.host}/apps/${appId}`;
  return withShape({
    namespace: metadata.namespace,
    name,
    type: APP_SECRET_TYPE,
    labels: { ...labels, [MANAGED_LABEL]: 'true' },
    annotations,
    owner: { kind: 'RelayApp', name: metadata.name, uid: metadata.uid },
    data: {
      PUSHER_APP_ID: appId,
      PUSHER_APP_KEY: key,
      PUSHER_APP_SECRET: secret,
      PUSHER_HOST: url.hostname,
      PUSHER_PORT: port,
      PUSHER_SCHEME: scheme,
      PUSHER_APP_CLUSTER: 'relay',
      PUSHER_URL: uri,
      type: 'pusher',
      provider: 'relay-operator',
      uri,
    },
  });
}
