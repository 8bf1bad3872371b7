/** What is served where: a path in Fastify's notation, and a method of it. */
export type ServedMethod = { readonly url: string; readonly method: string };

/**
 * The methods of a path, for the `Allow` of a 405 (RFC 9110, 15.5.6); none: nothing is served there. By the path as it was sent, and only
 * asked for what the router did not find: a path in another spelling is then as unknown as before.
 */
export function allowedMethods(served: readonly ServedMethod[]): (path: string) => readonly string[] {
  const byUrl = [...Map.groupBy(served, ({ url }) => url)].map(([url, routes]) => ({
    pattern: new RegExp(`^${url.split('/').map(segmentPattern).join('/')}$`),
    methods: routes.map(({ method }) => method).toSorted(),
  }));
  return (path) => byUrl.find(({ pattern }) => pattern.test(path))?.methods ?? [];
}

function segmentPattern(segment: string): string {
  return segment.startsWith(':') ? '[^/]+' : RegExp.escape(segment);
}
