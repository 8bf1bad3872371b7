import type { RelayApp } from '#crds/relay-app.ts';
import type { RelayToken } from '#crds/relay-token.ts';

/** Kubernetes Events in a cluster, log lines in a folder. Never fails and never blocks a reconcile. */
export interface Recorder {
  event(object: RelayApp | RelayToken, type: 'Normal' | 'Warning', reason: string, message: string): void;
}
