import { z } from 'zod';

const time = z.string().meta({ format: 'date-time' });

/** `status.credentials`: what exists, by id. Never a value. */
export const credentialStatuses = z
  .array(
    z.strictObject({
      id: z.string().max(64),
      state: z.enum(['Pending', 'Active', 'Retiring', 'Revoked']),
      createdAt: time,
      expiresAt: time
        .optional()
        .describe('When it goes: after the overlap, or at the deadline if it is still used then.'),
    }),
  )
  .max(16)
  .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['id'] });

export const rotationStatus = z.strictObject({
  last: time.optional().describe('When a credential was last replaced.'),
  next: time.optional().describe('When the present one will be.'),
});

/** The commands that were acted on, by the value of their annotation. */
export const handledRequests = z.strictObject({
  rotate: z.string().max(256).optional().describe('Of the annotation relay-operator.dev/rotate.'),
});
