import { check } from '../check.ts';

export const connectionQuota = check({
  name: 'connection-quota',
  doors: ['websocket'],
  stage: 'counted',
  refuses: ['connection_quota'],
  refusal: ({ withinQuota }) => (withinQuota ? undefined : 'connection_quota'),
});
