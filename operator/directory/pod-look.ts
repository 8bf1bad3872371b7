/** A live look at the pod of a replica: never from a cache, because a replica that is declared gone no longer holds `Enforced` back. */
export interface PodLook {
  /** `gone`: the pod does not exist, has another UID, or its container is dead. `unknown`: cannot say, and the replica stays. */
  look(
    replica: { readonly id: string; readonly podUid: string | null },
    signal: AbortSignal,
  ): Promise<'alive' | 'gone' | 'unknown'>;
}
