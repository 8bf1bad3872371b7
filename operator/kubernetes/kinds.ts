import { GROUP, VERSION } from '#crds/api-group.ts';
import { CLIENT_CERTIFICATE, RELAY_APP, RELAY_TOKEN, type KindDefinition } from '#crds/kinds.ts';
import type { ResourceType } from './resource-type.ts';

export const RELAY_APPS: ResourceType = resourceOf(RELAY_APP);
export const RELAY_TOKENS: ResourceType = resourceOf(RELAY_TOKEN);
export const CLIENT_CERTIFICATES: ResourceType = resourceOf(CLIENT_CERTIFICATE);

function resourceOf({ kind, plural }: Pick<KindDefinition, 'kind' | 'plural'>): ResourceType {
  return { group: GROUP, version: VERSION, plural, kind, namespaced: true };
}
