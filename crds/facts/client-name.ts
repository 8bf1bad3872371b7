/** A letter first and neither dots nor colons in it, and of a version three numbers at most: neither can be an address. */
const NAME = /^[A-Za-z][A-Za-z0-9_-]{0,39}/;
const VERSION = /^[ /]v?(\d{1,5}(?:\.\d{1,5}){0,2}(?:-[a-z]{1,8}(?:\.\d{1,3})?)?)/;

/** What {@link clientName} makes, and all that a report may say. */
export const CLIENT_NAME = /^[A-Za-z][A-Za-z0-9_-]{0,39}(?: \d{1,5}(?:\.\d{1,5}){0,2}(?:-[a-z]{1,8}(?:\.\d{1,3})?)?)?$/;

/**
 * Name and version of an SDK as it says of itself, such as `pusher-http-node 5.3.4`, or as the first product of a User-Agent (RFC 9110,
 * 10.1.5), `curl/8.5.0`. undefined: what it says is no such thing. It ends up in a status and in mails, and comes from anybody.
 */
export function clientName(said: string): string | undefined {
  const name = NAME.exec(said)?.[0];
  if (name === undefined) return undefined;
  const rest = said.slice(name.length);
  if (rest !== '' && rest[0] !== ' ' && rest[0] !== '/') return undefined;
  const version = VERSION.exec(rest)?.[1];
  return version === undefined ? name : `${name} ${version}`;
}
