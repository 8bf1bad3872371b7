import type { World } from '../world/world.ts';
import type { DeliveryOptions } from './delivery.ts';

/** A Warning on the object that a message was about, if it is still there: whoever relies on being told must be able to see that nobody was. */
export function createGivenUpEvent({
  apps,
  tokens,
  certificates,
  recorder,
}: Pick<World, 'apps' | 'tokens' | 'certificates' | 'recorder'>): DeliveryOptions['onGivenUp'] {
  return ({ occasion, channel, recipient }, error) => {
    if (occasion === null) return;
    const { kind, namespace, name, what } = occasion;
    const ref = { namespace, name };
    const object = { RelayApp: apps, RelayToken: tokens, ClientCertificate: certificates }[kind].get(ref);
    if (object === undefined) return;
    const whom = channel === 'Mail' ? recipient : 'the webhook of this installation';
    recorder.event(object, 'Warning', 'NotificationGivenUp', `${what} could not be told to ${whom}: ${error}`);
  };
}
