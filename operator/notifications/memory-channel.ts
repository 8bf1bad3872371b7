import { DeliveryError, type Channel, type Letter } from './channel.ts';

/** What the other side does with the next letters. */
export type MemoryBehaviour = 'take' | 'refuse' | 'notNow' | 'hang' | 'away';

/** A channel that keeps what it takes: for whoever wants to know what would have been sent. */
export class MemoryChannel implements Channel {
  readonly taken: Letter[] = [];
  behaviour: MemoryBehaviour = 'take';

  async send(letter: Letter, signal: AbortSignal): Promise<void> {
    switch (this.behaviour) {
      case 'take':
        this.taken.push(letter);
        return;
      case 'refuse':
        throw new DeliveryError('refused', { about: 'Refused' });
      case 'notNow':
        throw new DeliveryError('not now', { about: 'Letter' });
      case 'away':
        throw new DeliveryError('away', { about: 'Server' });
      case 'hang':
        await new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new DeliveryError('aborted', { about: 'Server' })));
        });
    }
  }
}
