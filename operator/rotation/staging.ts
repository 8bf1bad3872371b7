/** The longest name that Kubernetes gives an object. */
const MAX_NAME = 253;
const SUFFIX = '-next';

/**
 * Where a new credential waits until every relay knows it: beside the Secret that will hold it, `checkout-relay-next`. After the Secret and not
 * after its owner, because a RelayApp and a RelayToken of one namespace may have one name.
 */
export function stagedName(secretName: string): string {
  return `${secretName.slice(0, MAX_NAME - SUFFIX.length).replace(/[-.]+$/, '')}${SUFFIX}`;
}
