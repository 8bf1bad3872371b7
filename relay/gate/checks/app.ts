import { check } from '../check.ts';

export const appKnown = check({
  name: 'app-known',
  doors: ['http', 'websocket', 'live'],
  stage: 'arrival',
  refuses: ['app_unknown'],
  refusal: (visit) => (visit.app === undefined ? 'app_unknown' : undefined),
});

export const appEnabled = check({
  name: 'app-enabled',
  doors: ['http', 'websocket', 'live'],
  stage: 'arrival',
  refuses: ['app_disabled'],
  refusal: (visit) => (visit.app?.enabled === false ? 'app_disabled' : undefined),
});
