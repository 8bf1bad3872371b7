export const MAX_USER_ID = 128;

// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const CONTROL_CHARACTERS = /[\u0000-\u001f\u007f]/;

/**
 * Whether a text may be a user's id, on presence channels and for sign-in: 1–128 characters (pusher-protocol: Channels). Control
 * characters are refused because ids are parts of names that line feeds separate, broken surrogates because two of them would become one
 * user in UTF-8.
 */
export function isUserId(text: string): boolean {
  return text.length > 0 && text.length <= MAX_USER_ID && text.isWellFormed() && !CONTROL_CHARACTERS.test(text);
}
