import { join } from 'node:path';
import { defaultedToken, type RelayToken } from '#crds/relay-token.ts';
import type { FolderObject } from './folder/object-file.ts';
import { displayPath, shellWord } from './display-path.ts';

/** An app as people see it: nothing here is secret. */
export type ServedApp = {
  readonly namespace: string;
  readonly name: string;
  readonly appId: string;
  readonly key: string;
  /** Publishes one event, with a token that it reads from its file; undefined while the app has no token. */
  readonly curl: string | undefined;
};

export type Place = { readonly url: string; readonly secrets: string; readonly cwd: string };

export const EXAMPLE = { channel: 'my-channel', event: 'my-event' } as const;

/** The apps that the relay serves now, the first one being the best to try. */
export function servedApps(objects: readonly FolderObject[], place: Place): readonly ServedApp[] {
  return objects
    .filter((object) => object.kind === 'RelayApp')
    .flatMap(({ metadata: { namespace, name, deletionTimestamp }, status }) => {
      const { appId, key } = status ?? {};
      if (appId === undefined || key === undefined || deletionTimestamp !== undefined) return [];
      const token = tokenOf(objects, namespace, name);
      return [{ namespace, name, appId, key, curl: token === undefined ? undefined : curlOf(place, appId, token) }];
    })
    .sort((a, b) => Number(b.curl !== undefined) - Number(a.curl !== undefined));
}

function tokenOf(objects: readonly FolderObject[], namespace: string, app: string): RelayToken | undefined {
  return objects
    .filter((object) => object.kind === 'RelayToken')
    .filter(({ metadata, spec }) => metadata.namespace === namespace && spec.appRef.name === app)
    .filter(({ metadata, spec }) => metadata.deletionTimestamp === undefined && spec.revoked !== true)
    .find(({ status }) => status?.tokenId !== undefined);
}

/** The token itself stays in its file: a terminal's scrollback is no place for it. */
function curlOf({ url, secrets, cwd }: Place, appId: string, { metadata, spec }: RelayToken): string {
  const { namespace, name } = metadata;
  const path = displayPath(join(secrets, namespace, `${defaultedToken(name, spec).secretName}.env`), cwd);
  // `.` looks along PATH for a name without a slash; this one always has some.
  const token = `$(. ${shellWord(path)}; echo "$RELAY_TOKEN")`;
  const data = JSON.stringify({ text: 'Hello' });
  const body = JSON.stringify({ name: EXAMPLE.event, channel: EXAMPLE.channel, data });
  return `curl ${url}/apps/${appId}/events -H "Authorization: Bearer ${token}" -H "Content-Type: application/json" -d '${body}'`;
}
