import { parseJson } from '#crds/json-text.ts';
import type { Bus, Reach, SignalMessage } from './bus.ts';

/** What one replica tells others, by `type`. A signal is JSON with a `type`; who handles a type also parses the rest (with zod). */
export type SignalHandler = (appId: string, channel: string, signal: unknown) => void;

/** Hands signals to who handles their type. An unknown type is dropped: a newer replica may know more. */
export class Signals {
  readonly #handlers = new Map<string, SignalHandler>();

  /** One handler per type. */
  on(type: string, handler: SignalHandler): void {
    if (this.#handlers.has(type)) throw new Error(`signal ${type} has a handler already`);
    this.#handlers.set(type, handler);
  }

  /** Never throws: the transport is not trusted. Returns whether somebody took it. */
  dispatch(appId: string, channel: string, { text }: SignalMessage): boolean {
    const signal = parseJson(text);
    const type = typeof signal === 'object' && signal !== null && 'type' in signal ? signal.type : undefined;
    const handler = typeof type === 'string' ? this.#handlers.get(type) : undefined;
    handler?.(appId, channel, signal);
    return handler !== undefined;
  }
}

/** To all replicas that subscribe to the bus channel, this one included. */
export function signal(
  bus: Bus,
  signals: Signals,
  appId: string,
  channel: string,
  content: { readonly type: string } & Readonly<Record<string, unknown>>,
): Promise<Reach> {
  const message: SignalMessage = { kind: 'signal', text: JSON.stringify(content) };
  signals.dispatch(appId, channel, message);
  return bus.publish(appId, [channel], message);
}
