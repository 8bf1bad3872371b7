import { z } from 'zod';
import { ExpiredError, TransientError } from '../engine/errors.ts';

/** The name of the API server as a backend (BackendGate). */
export const KUBERNETES_BACKEND = 'kubernetes';

/** `metav1.Status`, as far as it is used. */
const status = z.object({
  kind: z.literal('Status'),
  reason: z.string().optional(),
  message: z.string().optional(),
  code: z.number().optional(),
  details: z
    .object({
      name: z.string().optional(),
      retryAfterSeconds: z.number().optional(),
      causes: z.array(z.object({ reason: z.string().optional(), field: z.string().optional() })).optional(),
    })
    .optional(),
});

export type KubernetesErrorOptions = ErrorOptions & {
  readonly retryAfterMs?: number | undefined;
  /** The Status said which object it is about; so a 404 is about the object, not about the path. */
  readonly aboutObject?: boolean;
};

/**
 * The API server refused, or could not be reached. `status` is the HTTP status, 0 when there was no answer; `code` is metav1's reason
 * (`NotFound`, `Conflict`, `Forbidden` …), or of a network error its code (`ECONNREFUSED`, `Timeout`). A lost race is quiet.
 */
export class KubernetesError extends TransientError {
  readonly status: number;
  readonly aboutObject: boolean;

  constructor(httpStatus: number, reason: string, message: string, options: KubernetesErrorOptions = {}) {
    super(reason, message, {
      cause: options.cause,
      retryAfterMs: options.retryAfterMs,
      quiet: httpStatus === 409,
      backend: httpStatus === 0 || (httpStatus >= 502 && httpStatus <= 504) ? KUBERNETES_BACKEND : undefined,
    });
    this.status = httpStatus;
    this.aboutObject = options.aboutObject ?? false;
  }

  /** metav1's reason; the same as `code`. */
  get reason(): string {
    return this.code;
  }
}

export function isNotFound(error: unknown): error is KubernetesError {
  return error instanceof KubernetesError && error.status === 404 && error.aboutObject;
}

/** Somebody changed the object since it was read, or it is not the one that was meant (UID precondition). */
export function isConflict(error: unknown): error is KubernetesError {
  return error instanceof KubernetesError && error.code === 'Conflict';
}

export function isAlreadyExists(error: unknown): error is KubernetesError {
  return error instanceof KubernetesError && error.code === 'AlreadyExists';
}

/** The error that an answer outside 2xx stands for. `body` is whatever came; `retryAfter` the header. */
export function errorOf(httpStatus: number, body: unknown, retryAfter: string | undefined): TransientError {
  const parsed = status.safeParse(body);
  const { reason, message, details } = parsed.success ? parsed.data : {};
  const text = message ?? `the API server answered ${httpStatus}`;
  const retryAfterMs = parseRetryAfter(retryAfter) ?? (details?.retryAfterSeconds ?? 0) * 1000;
  const tooLarge = details?.causes?.some((cause) => cause.reason === 'ResourceVersionTooLarge') ?? false;
  // 410 in a list or watch; or a server that has not got that far yet, which a list from storage gets around.
  if (httpStatus === 410 || tooLarge) return new ExpiredError(text, { retryAfterMs });
  // An apply whose metadata.uid is that of an earlier object of this name is refused as an invalid change of the UID (422).
  // For us it is a failed precondition like any other: a race that was lost.
  const otherUid = httpStatus === 422 && (details?.causes?.some(({ field }) => field === 'metadata.uid') ?? false);
  if (otherUid) return new KubernetesError(409, 'Conflict', text, { aboutObject: true });
  return new KubernetesError(httpStatus, reason ?? `HTTP${httpStatus}`, text, {
    retryAfterMs: retryAfterMs > 0 ? retryAfterMs : undefined,
    aboutObject: details?.name !== undefined && details.name !== '',
  });
}

/** Milliseconds; the API server sends whole seconds, proxies before it may send a date, which is not worth a second clock. */
function parseRetryAfter(header: string | undefined): number | undefined {
  return header !== undefined && /^\d{1,6}$/.test(header.trim()) ? Number(header) * 1000 : undefined;
}
