import { check } from '../check.ts';

const SERVED: ReadonlySet<string> = new Set(['4', '5', '6', '7']);

export const protocolVersion = check({
  name: 'protocol-version',
  doors: ['websocket'],
  stage: 'arrival',
  refuses: ['protocol_missing', 'protocol_unsupported'],
  refusal: ({ protocol }) => {
    if (protocol === undefined || protocol === '') return 'protocol_missing';
    return SERVED.has(protocol) ? undefined : 'protocol_unsupported';
  },
});
