import { z } from 'zod';

const FORM =
  /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?([.][A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/;
const MESSAGE = 'must be a mail address such as platform@example.com, without a name and without brackets';

/**
 * A mail address as it stands in an envelope (RFC 5321, 4.1.2, without quoted local parts and address literals): no spaces, quotes, commas,
 * brackets or line ends, so that one address can never become two, or a header. The pattern is within RE2, for the API server.
 */
export const mailAddress = z.string().max(254).regex(FORM, MESSAGE);
