import { check } from '../check.ts';

/** Which of two values counts would be up to whoever parses: a proxy in front and the relay may not agree. */
export const headerDuplicated = check({
  name: 'header-duplicated',
  doors: ['http', 'websocket'],
  stage: 'arrival',
  refuses: ['header_duplicated'],
  refusal: (visit) => (visit.duplicatedHeader ? 'header_duplicated' : undefined),
});
