import { lowerRate, type Rate } from '#crds/rate.ts';
import type { App, Token } from '../directory/directory.ts';

/** What the installation says where an app or a token says nothing. */
export type RateSettings = {
  /** Of apps without a rate; null: no limit. */
  readonly app: Rate | null;
  /** No test token (`rly_test_…`) has more; null: nothing of their own. */
  readonly testToken: Rate | null;
};

/** Whose budget something draws on, and how large that is. */
export type RateSubject = {
  readonly appId: string;
  /** Name of the budget in the app. */
  readonly budget: string;
  /** As the RateLimit headers name it. */
  readonly policy: 'app' | 'token';
  readonly rate: Rate;
};

/**
 * A request draws on its token's budget if that has one, else on the app's. The budget is the RelayToken's, by name: replacing a token does
 * not double it. Test tokens always have their own. undefined: no limit.
 */
export function requestSubject(app: App, token: Token | undefined, settings: RateSettings): RateSubject | undefined {
  const ofApp = app.limits.rate ?? settings.app;
  const ofToken = token === undefined ? null : tokenRate(token, ofApp, settings);
  if (token !== undefined && ofToken !== null) {
    return { appId: app.appId, budget: `token:${token.name}`, policy: 'token', rate: ofToken };
  }
  return ofApp === null ? undefined : { appId: app.appId, budget: 'app', policy: 'app', rate: ofApp };
}

/**
 * Connects have a budget of the app's size for themselves: whoever knows the public key may connect, and must not be able to use up what
 * the app's own servers need.
 */
export function connectSubject(app: App, settings: RateSettings): RateSubject | undefined {
  const rate = app.limits.rate ?? settings.app;
  return rate === null ? undefined : { appId: app.appId, budget: 'connect', policy: 'app', rate };
}

function tokenRate(token: Token, ofApp: Rate | null, { testToken }: RateSettings): Rate | null {
  if (token.environment === 'Live' || testToken === null) return token.rate;
  const own = token.rate ?? ofApp;
  return own === null ? testToken : lowerRate(own, testToken);
}
