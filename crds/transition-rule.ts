/**
 * A rule that compares with the stored object, in both of its languages: CEL over `self` and `oldSelf` for the API server, and a
 * predicate for the standalone folder, which checks it on every edit of a file. They must agree, and share their message.
 */
export type TransitionRule<Spec> = {
  readonly cel: string;
  /** Says what to write instead. */
  readonly message: string;
  /** Where the error is shown, e.g. `spec.appRef.name`. */
  readonly field: string;
  check(self: Spec, oldSelf: Spec): boolean;
};
