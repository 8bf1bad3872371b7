import type { Message } from './message.ts';

/** One message to one recipient. Everything in it follows from its row, so that sending it again sends the very same. */
export type Letter = {
  /** The same for every attempt: `[0-9a-f]{32}`. */
  readonly id: string;
  /** When it was announced, epoch ms. */
  readonly date: number;
  /** A mail address; empty where the channel knows by itself where to. */
  readonly recipient: string;
  readonly message: Message;
};

/**
 * A way to tell people. Implementations MUST resolve only when the other side has taken the letter, MUST end what they do soon after the
 * signal aborts, and MUST throw a DeliveryError in every other case. They never try again: delivery.ts does.
 */
export interface Channel {
  send(letter: Letter, signal: AbortSignal): Promise<void>;
}

export type DeliveryErrorOptions = ErrorOptions & {
  /**
   * Letter: the other side is there and does not take this one now. Refused: it never will. Server: nothing can be sent there at the moment,
   * whatever it is.
   */
  readonly about: 'Letter' | 'Refused' | 'Server';
  /** The other side asked for at least this pause, in ms. */
  readonly retryAfterMs?: number | undefined;
};

/** Why a letter was not taken. Its message is stored and logged: no password, no URL. */
export class DeliveryError extends Error {
  readonly about: DeliveryErrorOptions['about'];
  readonly retryAfterMs: number | undefined;

  constructor(message: string, { about, retryAfterMs, cause }: DeliveryErrorOptions) {
    super(message, { cause });
    this.name = 'DeliveryError';
    this.about = about;
    this.retryAfterMs = retryAfterMs;
  }
}
