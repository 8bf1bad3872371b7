import type { FolderObject } from './folder/object-file.ts';
import type { ServedApp } from './serving.ts';

export type BannerParts = {
  readonly url: string;
  readonly folder: string;
  readonly status: string;
  readonly secrets: string;
  readonly apps: readonly ServedApp[];
  readonly declaredElsewhere: readonly FolderObject[];
};

/** What a newcomer needs to know once everything runs. */
export function banner({ url, folder, status, secrets, apps, declaredElsewhere }: BannerParts): string {
  const [first] = apps;
  const served = apps.map(({ namespace, name, appId, key }) => `  ${namespace}/${name}  app id ${appId}  key ${key}`);
  return [
    '',
    `The relay is at ${url} and a page that shows events arriving is at ${url}/`,
    '',
    ...(served.length === 0 ? ['It serves no app yet: put a RelayApp into the folder.'] : ['It serves', ...served]),
    '',
    ...(first?.curl === undefined ? [] : ['Publish an event:', '', first.curl, '']),
    `Manifests    ${folder} (edits take effect at once)`,
    `Statuses     ${status}`,
    `Credentials  ${secrets}`,
    ...(declaredElsewhere.length === 0
      ? []
      : [`Of another folder, and left as they are: ${declaredElsewhere.map(nameOf).join(', ')}`]),
    '',
    'Ctrl-C stops it.',
    '',
  ].join('\n');
}

function nameOf({ kind, metadata: { namespace, name } }: FolderObject): string {
  return `${kind} ${namespace}/${name}`;
}
