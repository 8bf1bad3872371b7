import type { PresenceIdentity } from './user-data.ts';

/**
 * Texts of the frames that the relay sends. `data` is a JSON *string* everywhere, `"{}"` included; `pusher:error` alone carries an
 * object (pusher-protocol: Connecting).
 */
export const PONG = '{"event":"pusher:pong","data":"{}"}';
export const PING = '{"event":"pusher:ping","data":"{}"}';

/** @param activityTimeout seconds; must be above 0, pusher-js throws otherwise. */
export function connectionEstablished(socketId: string, activityTimeout: number): string {
  const data = JSON.stringify({ socket_id: socketId, activity_timeout: activityTimeout });
  return JSON.stringify({ event: 'pusher:connection_established', data });
}

/** @param code a close code or 4301 and the like; null for a fault that has none, such as a failed subscription. */
export function errorMessage(code: number | null, message: string): string {
  return JSON.stringify({ event: 'pusher:error', data: { code, message } });
}

/** @param data {@link NO_DATA}, or {@link presenceData} on presence channels. */
export function subscriptionSucceeded(channel: string, data: string): string {
  return JSON.stringify({ event: 'pusher_internal:subscription_succeeded', channel, data });
}

export const NO_DATA = '{}';

/** Written by hand because `info` is JSON already, and so that a user called __proto__ is a user like any other. */
export function presenceData(members: readonly PresenceIdentity[]): string {
  const hash = members.map(({ userId, info }) => `${JSON.stringify(userId)}:${info}`).join(',');
  const ids = JSON.stringify(members.map(({ userId }) => userId));
  return `{"presence":{"ids":${ids},"hash":{${hash}},"count":${members.length}}}`;
}

export function memberAdded({ userId, info }: PresenceIdentity): string {
  return eventTail('pusher_internal:member_added', `{"user_id":${JSON.stringify(userId)},"user_info":${info}}`);
}

export function memberRemoved(userId: string): string {
  return eventTail('pusher_internal:member_removed', JSON.stringify({ user_id: userId }));
}

export function cacheMiss(channel: string): string {
  return JSON.stringify({ event: 'pusher:cache_miss', channel, data: NO_DATA });
}

/** @param userData as the client sent it. */
export function signinSuccess(userData: string): string {
  return JSON.stringify({ event: 'pusher:signin_success', data: JSON.stringify({ user_data: userData }) });
}

/** Of a watchlist: who is online and who is not. A list that is empty is not told. */
export function watchlistEvents(online: readonly string[], offline: readonly string[]): string {
  const events = [
    { name: 'online', user_ids: online },
    { name: 'offline', user_ids: offline },
  ].filter(({ user_ids }) => user_ids.length > 0);
  return JSON.stringify({ event: 'pusher_internal:watchlist_events', data: JSON.stringify({ events }) });
}

export function subscriptionError(channel: string, type: string, message: string, status: number): string {
  const data = JSON.stringify({ type, error: message, status });
  return JSON.stringify({ event: 'pusher:subscription_error', channel, data });
}

/**
 * An event as far as all its channels share it. Events travel between replicas in this form, so that a receiver frames them with two
 * concatenations and never parses: see {@link eventHead}.
 * @param userId of the sender: on client events of presence channels only.
 */
export function eventTail(event: string, data: string, userId?: string): string {
  const user = userId === undefined ? '' : `,"user_id":${JSON.stringify(userId)}`;
  return `"event":${JSON.stringify(event)},"data":${JSON.stringify(data)}${user}}`;
}

/** Whether a tail is the protocol's own, such as a count, and no publisher's event. */
export function isInternalTail(tail: Buffer): boolean {
  return tail.toString('latin1', 0, INTERNAL_START.length) === INTERNAL_START;
}
const INTERNAL_START = '"event":"pusher_internal:';

/** The text before the tail. A channel name's charset needs no JSON escaping, but `#server-to-user-` has a user's id in it. */
export function eventHead(channel: string): string {
  return channel.startsWith('#') ? `{"channel":${JSON.stringify(channel)},` : `{"channel":"${channel}",`;
}
