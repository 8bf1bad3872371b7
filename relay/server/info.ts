import { z } from 'zod';

/** What a caller wants to know about channels besides that they exist. `user_count` is a presence channel's. */
export type Info = { readonly subscriptionCount: boolean; readonly userCount: boolean; readonly cache: boolean };

const ATTRIBUTES: ReadonlySet<string> = new Set(['subscription_count', 'user_count', 'cache']);
const attributesOf = (text: string): string[] => (text === '' ? [] : text.split(',').map((name) => name.trim()));

/** `info` as queries and triggers carry it. SDK tests pin the words of the refusal. */
export const infoText = z
  .string()
  .refine((text) => attributesOf(text).every((name) => ATTRIBUTES.has(name)), {
    error: 'info should be a comma separated list of attributes',
  })
  .meta({
    description: 'Comma separated: subscription_count, user_count (presence channels), cache (cache channels).',
  });

/** @param text that {@link infoText} has accepted. */
export function infoOf(text: string | null | undefined): Info {
  const names = attributesOf(text ?? '');
  return {
    subscriptionCount: names.includes('subscription_count'),
    userCount: names.includes('user_count'),
    cache: names.includes('cache'),
  };
}

export const wantsAny = (info: Info): boolean => info.subscriptionCount || info.userCount || info.cache;
