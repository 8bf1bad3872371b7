import { check } from '../check.ts';

/** No Origin is let in: only browsers send one, and they always do where a page of somebody else could ask. */
export const originAllowed = check({
  name: 'origin-allowed',
  doors: ['http', 'websocket', 'live'],
  stage: 'arrival',
  refuses: ['origin_not_allowed'],
  refusal: ({ app, origin }) => {
    const origins = app?.access.origins ?? null;
    if (origins === null || origin === undefined) return undefined;
    return origins.has(origin) ? undefined : 'origin_not_allowed';
  },
});
