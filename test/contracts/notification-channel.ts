import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Channel, Letter } from '#operator/notifications/channel.ts';

/** A channel and the other side of it. */
export type ChannelUnderTest = AsyncDisposable & {
  readonly channel: Channel;
  /** The ids of the letters that the other side has taken. */
  taken(): readonly string[];
  /** Takes from now on what comes, refuses it for good, for now, says nothing, or is not there. undefined: it cannot do that. */
  readonly behave: Readonly<Record<'take' | 'notNow' | 'hang' | 'away', () => void>> & { readonly refuse?: () => void };
};

export const LETTER: Letter = {
  id: '0123456789abcdef0123456789abcdef',
  date: Date.UTC(2027, 2, 1, 12),
  recipient: 'platform@example.com',
  message: {
    subject: 'RelayToken shop/ci: the token expires',
    paragraphs: ['It expires.'],
    actions: [{ text: 'Look:', command: 'kubectl describe relaytoken ci -n shop' }],
    footer: 'Sent by a test.',
  },
};

/** What operator/notifications/channel.ts demands of every channel. */
export function channelContract(name: string, start: () => Promise<ChannelUnderTest>): void {
  describe(`${name}, as a channel`, () => {
    let other: ChannelUnderTest;
    beforeEach(async () => {
      other = await start();
    });
    afterEach(() => other[Symbol.asyncDispose]());
    const forever = new AbortController().signal;

    test('has handed over what it resolved for', async () => {
      await other.channel.send(LETTER, forever);
      expect(other.taken()).toEqual([LETTER.id]);
    });

    test('sends the same again when it is told to, under the same id', async () => {
      await other.channel.send(LETTER, forever);
      await other.channel.send(LETTER, forever);
      expect(other.taken()).toEqual([LETTER.id, LETTER.id]);
    });

    test('says what was not taken for now, and takes up again', async () => {
      other.behave.notNow();
      const error = await other.channel.send(LETTER, forever).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ name: 'DeliveryError' });
      expect(error).not.toMatchObject({ about: 'Refused' });
      other.behave.take();
      await other.channel.send(LETTER, forever);
      expect(other.taken()).toEqual([LETTER.id]);
    });

    test('says what will never be taken', async () => {
      if (other.behave.refuse === undefined) return;
      other.behave.refuse();
      await expect(other.channel.send(LETTER, forever)).rejects.toMatchObject({
        name: 'DeliveryError',
        about: 'Refused',
      });
    });

    test('says that nobody is there', async () => {
      other.behave.away();
      await expect(other.channel.send(LETTER, forever)).rejects.toMatchObject({
        name: 'DeliveryError',
        about: 'Server',
      });
    });

    test('ends with the signal, whatever the other side does', async () => {
      other.behave.hang();
      const stop = new AbortController();
      const sending = other.channel.send(LETTER, stop.signal);
      setTimeout(() => stop.abort(), 100);
      await expect(sending).rejects.toMatchObject({ name: 'DeliveryError' });
      expect(other.taken()).toEqual([]);
    });
  });
}
