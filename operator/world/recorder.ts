import type { RelayObject } from '#crds/relay-object.ts';

/** Kubernetes Events in a cluster, log lines in a folder. Never fails and never blocks a reconcile. */
export interface Recorder {
  event(object: RelayObject, type: 'Normal' | 'Warning', reason: string, message: string): void;
}
