const PREFIX = '#user-';

/**
 * The pseudo-channel that stands for the signed-in sockets of a user: they are counted in it like subscribers, and on the bus replicas hear
 * on it about the user. No client can subscribe to it and nobody can publish to it.
 */
export const userChannel = (userId: string): string => PREFIX + userId;

/** The user of a {@link userChannel}. */
export const userOfChannel = (channel: string): string => channel.slice(PREFIX.length);
