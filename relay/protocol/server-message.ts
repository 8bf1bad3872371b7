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

export function subscriptionSucceeded(channel: string): string {
  return JSON.stringify({ event: 'pusher_internal:subscription_succeeded', channel, data: '{}' });
}

export function subscriptionError(channel: string, type: string, message: string, status: number): string {
  const data = JSON.stringify({ type, error: message, status });
  return JSON.stringify({ event: 'pusher:subscription_error', channel, data });
}

/**
 * An event as far as all its channels share it. Events travel between replicas in this form, so that a receiver frames them with two
 * concatenations and never parses: see {@link channelEvent}.
 */
export function eventTail(event: string, data: string): string {
  return `"event":${JSON.stringify(event)},"data":${JSON.stringify(data)}}`;
}

/** The text before the tail. A channel name's charset needs no JSON escaping. */
export function eventHead(channel: string): string {
  return `{"channel":"${channel}",`;
}
