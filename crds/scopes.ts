/**
 * What a bearer token may be allowed to do (R4). A route of the relay names the one scope that it needs; a token has scopes, or category
 * wildcards such as `channels:*`, or none at all, which means everything.
 */
export const SCOPES = [
  'events:publish',
  'events:batch',
  'channels:read',
  'channels:manage',
  'presence:read',
  'webhooks:manage',
  'encryption:manage',
  'schemas:read',
  'schemas:manage',
  'connections:read',
  'connections:manage',
  'analytics:read',
  'app:read',
  'app:manage',
] as const;

export type Scope = (typeof SCOPES)[number];

/** Every text that a token's list of scopes may hold: the scopes, and one wildcard per category. */
export const GRANTS: readonly string[] = [
  ...SCOPES,
  ...new Set(SCOPES.map((scope) => `${scope.slice(0, scope.indexOf(':'))}:*`)),
];

/** @param grants of the token; null: no list, full access. */
export function grantsScope(grants: readonly string[] | null, scope: Scope): boolean {
  if (grants === null) return true;
  return grants.includes(scope) || grants.includes(`${scope.slice(0, scope.indexOf(':'))}:*`);
}
