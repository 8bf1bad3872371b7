/** The part of an object that the engine looks at. Every Kubernetes object, and every object of the standalone folder, has it. */
export type EngineObject = {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string | undefined;
    readonly uid: string;
    readonly resourceVersion?: string | undefined;
  };
};

/** `namespace/name`; the bare name for a cluster-scoped object. */
export type Key = string;

export function keyOf({ metadata: { namespace, name } }: EngineObject): Key {
  return namespace === undefined || namespace === '' ? name : `${namespace}/${name}`;
}

export function splitKey(key: Key): { readonly namespace: string; readonly name: string } {
  const slash = key.indexOf('/');
  return slash < 0 ? { namespace: '', name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/**
 * Compares two resource versions of the same resource type as integers, as Kubernetes ≥ 1.35 promises them to be (KEP-5504).
 * Negative: `a` is older. An absent version compares as equal, because nothing can be said.
 */
export function compareResourceVersions(a: string | undefined, b: string | undefined): number {
  if (a === undefined || b === undefined || a === b) return 0;
  return a.length === b.length ? (a < b ? -1 : 1) : a.length - b.length;
}
