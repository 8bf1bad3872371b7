import { check } from '../check.ts';

/** An address that cannot be told is on no list. */
export const ipAllowed = check({
  name: 'ip-allowed',
  doors: ['http', 'websocket', 'live'],
  stage: 'arrival',
  refuses: ['ip_not_allowed'],
  refusal: ({ app, address }) => {
    const allowlist = app?.access.ipAllowlist ?? null;
    if (allowlist === null) return undefined;
    return address !== undefined && allowlist.has(address) ? undefined : 'ip_not_allowed';
  },
});
