import { check } from '../check.ts';

/** First of all: a relay that does not know its directory must not say "no such app". */
export const serving = check({
  name: 'serving',
  doors: ['http', 'websocket', 'live'],
  stage: 'arrival',
  refuses: ['draining', 'directory_fenced', 'directory_not_ready'],
  refusal: (visit) => {
    switch (visit.serving) {
      case 'yes':
        return undefined;
      case 'draining':
        // A request that still came through is finished; only new sockets are sent elsewhere.
        return visit.door === 'websocket' ? 'draining' : undefined;
      case 'fenced':
        return 'directory_fenced';
      case 'not_ready':
        // A live socket was admitted by a directory; that a relay is not ready now is no verdict about it.
        return visit.door === 'live' ? undefined : 'directory_not_ready';
    }
  },
});
