import { grantsScope } from '#crds/scopes.ts';
import { check } from '../check.ts';

/** Bearer tokens only: whoever has the app's secret may do everything with the app, as with Pusher. */
export const tokenScope = check({
  name: 'token-scope',
  doors: ['http'],
  stage: 'arrival',
  refuses: ['scope_missing'],
  refusal: ({ token, scope }) =>
    token === undefined || grantsScope(token.scopes, scope) ? undefined : 'scope_missing',
});
