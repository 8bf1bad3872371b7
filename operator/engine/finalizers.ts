/** Pure list work on `metadata.finalizers`. Only our own is ever added or removed; the order of the others is kept. */
type Finalized = { readonly metadata: { readonly finalizers?: readonly string[] | undefined } };

export function hasFinalizer({ metadata }: Finalized, finalizer: string): boolean {
  return metadata.finalizers?.includes(finalizer) ?? false;
}

/** The finalizers with ours; the very same list when it is there already. */
export function withFinalizer({ metadata: { finalizers = [] } }: Finalized, finalizer: string): readonly string[] {
  return finalizers.includes(finalizer) ? finalizers : [...finalizers, finalizer];
}

/** The finalizers without ours; the very same list when it was not there. */
export function withoutFinalizer({ metadata: { finalizers = [] } }: Finalized, finalizer: string): readonly string[] {
  return finalizers.includes(finalizer) ? finalizers.filter((other) => other !== finalizer) : finalizers;
}
