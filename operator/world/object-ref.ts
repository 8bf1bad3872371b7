/** A namespaced object's identity for people and queues. The UID is deliberately not part of it (see ARCHITECTURE.md, identity). */
export type ObjectRef = { readonly namespace: string; readonly name: string };

/** `namespace/name`, the form of a work queue's key. */
export type ObjectKey = `${string}/${string}`;

export function keyOf(ref: ObjectRef): ObjectKey {
  return `${ref.namespace}/${ref.name}`;
}

export function refOf(key: string): ObjectRef {
  const slash = key.indexOf('/');
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
