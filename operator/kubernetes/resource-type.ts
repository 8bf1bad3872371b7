/** A resource as the API server serves it. */
export type ResourceType = {
  /** '' for the core group. */
  readonly group: string;
  readonly version: string;
  /** The plural of the path: `configmaps`. */
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
};

/** What a path may name: a collection, an object of it, a subresource of that. */
export type ResourcePath = {
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
  readonly subresource?: string | undefined;
};

export function apiVersionOf({ group, version }: ResourceType): string {
  return group === '' ? version : `${group}/${version}`;
}

/** The URL path, without a leading base path. No namespace of a namespaced resource: all namespaces. */
export function pathOf(resource: ResourceType, { namespace, name, subresource }: ResourcePath): string {
  const { group, version, plural, namespaced } = resource;
  let path = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  if (namespaced && namespace !== undefined && namespace !== '') path += `/namespaces/${encodeURIComponent(namespace)}`;
  path += `/${plural}`;
  if (name !== undefined) path += `/${encodeURIComponent(name)}`;
  return subresource === undefined ? path : `${path}/${subresource}`;
}

export const SECRETS: ResourceType = { group: '', version: 'v1', plural: 'secrets', kind: 'Secret', namespaced: true };

export const LEASES: ResourceType = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,
};

export const EVENTS: ResourceType = {
  group: 'events.k8s.io',
  version: 'v1',
  plural: 'events',
  kind: 'Event',
  namespaced: true,
};
