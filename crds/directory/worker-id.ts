/** A relay of several worker processes reports each of them to the directory, named after the relay: `pod-name:w2`. */
export function workerId(relayId: string, worker: number): string {
  return `${relayId}:w${worker}`;
}

/** The relay that a reporting process belongs to; a relay of one process is its own. */
export function relayOfWorker(id: string): string {
  return id.replace(/:w\d+$/, '');
}
