import type { Bus } from '../bus/bus.ts';
import type { Usage } from '../usage/usage.ts';
import { RELAYS_CHANNEL } from './questions.ts';

/** Told of each socket, after it is in the registry and after it is out of it. */
export type Arrivals = { opened(appId: string): void; closed(appId: string): void };

export type ArrivalsParts = {
  readonly usage: Usage;
  readonly bus: Bus;
  /** Sockets of the app that are open here now. */
  readonly connections: (appId: string) => number;
};

/** While a replica holds sockets of an app it hears what others ask about them; every socket counts as usage. */
export function arrivalsOf({ usage, bus, connections }: ArrivalsParts): Arrivals {
  return {
    opened: (appId) => {
      usage.opened(appId);
      if (connections(appId) === 1) void bus.subscribe(appId, RELAYS_CHANNEL);
    },
    closed: (appId) => {
      if (connections(appId) === 0) bus.unsubscribe(appId, RELAYS_CHANNEL);
    },
  };
}
