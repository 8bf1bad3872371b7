import { APP_SECRET_TYPE, MANAGED_LABEL } from '#crds/api-group.ts';
import type { DefaultedApp, RelayApp } from '#crds/relay-app.ts';
import { withShape } from '../reconcile/secret-state.ts';
import type { AppRow } from '../registry/app-registry.ts';
import type { DesiredSecret } from '../world/secrets.ts';
import type { Endpoints } from './snapshot.ts';

/**
 * The Secret that configures an application by `envFrom` alone, in the names that Pusher SDKs and frameworks read, and as a Service
 * Binding (servicebinding.io: `type`, `provider`, `uri`). It carries the newest key.
 */
export function appSecret(
  object: RelayApp,
  spec: DefaultedApp,
  row: AppRow,
  endpoints: Endpoints,
): DesiredSecret | undefined {
  const newest = row.keys.at(-1);
  if (newest === undefined) return undefined;
  const secret = newest.secret.reveal();
  const url = new URL(spec.endpoint === 'Public' ? endpoints.public : endpoints.internal);
  const scheme = url.protocol.replace(':', '');
  const port = url.port === '' ? (scheme === 'https' ? '443' : '80') : url.port;
  const uri = `${scheme}://${newest.key}:${secret}@${url.host}/apps/${row.appId}`;
  return withShape({
    namespace: object.metadata.namespace,
    name: spec.secretName,
    type: APP_SECRET_TYPE,
    labels: { ...spec.template.labels, [MANAGED_LABEL]: 'true' },
    annotations: spec.template.annotations,
    owner: { kind: 'RelayApp', name: object.metadata.name, uid: object.metadata.uid },
    data: {
      PUSHER_APP_ID: row.appId,
      PUSHER_APP_KEY: newest.key,
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
