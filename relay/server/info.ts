import { Refused } from './refuse.ts';

/** What a caller wants to know about channels besides that they exist. `user_count` is a presence channel's. */
export type Info = { readonly subscriptionCount: boolean; readonly userCount: boolean };

const ATTRIBUTES: ReadonlySet<string> = new Set(['subscription_count', 'user_count', 'cache']);

/** `info` as queries and triggers carry it. Throws {@link Refused} with the words that SDK tests pin. */
export function parseInfo(text: string | undefined): Info {
  const names = text === undefined || text === '' ? [] : text.split(',').map((name) => name.trim());
  if (names.some((name) => !ATTRIBUTES.has(name))) {
    throw new Refused('parameter_invalid', 'info should be a comma separated list of attributes');
  }
  return { subscriptionCount: names.includes('subscription_count'), userCount: names.includes('user_count') };
}
