import { check } from '../check.ts';

const NUMBER = /^\d{1,9}$/;
const SERVED: ReadonlySet<string> = new Set(['4', '5', '6', '7']);

export const protocolVersion = check({
  name: 'protocol-version',
  doors: ['websocket'],
  stage: 'arrival',
  refuses: ['protocol_missing', 'protocol_invalid', 'protocol_unsupported'],
  refusal: ({ protocol }) => {
    if (protocol === undefined || protocol === '') return 'protocol_missing';
    if (!NUMBER.test(protocol)) return 'protocol_invalid';
    return SERVED.has(protocol) ? undefined : 'protocol_unsupported';
  },
});
