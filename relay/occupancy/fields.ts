/**
 * Names under which a replica's numbers of an app are kept: `#` its connections, a channel its subscriptions, `#user-{id}` the sockets that
 * are signed in as a user, and `{channel}\n{user}` the sockets of a user in a presence channel. No channel's name has a `#` or a line feed.
 */
export const CONNECTIONS = '#';
const USER_PREFIX = '#user-';

export const userField = (userId: string): string => `${USER_PREFIX}${userId}`;
export const memberField = (channel: string, userId: string): string => `${channel}\n${userId}`;

/** undefined: the field is not a member's. A user's id may hold line feeds. */
export function parseMemberField(field: string): { readonly channel: string; readonly userId: string } | undefined {
  if (field.startsWith(USER_PREFIX)) return undefined;
  const at = field.indexOf('\n');
  return at < 0 ? undefined : { channel: field.slice(0, at), userId: field.slice(at + 1) };
}
