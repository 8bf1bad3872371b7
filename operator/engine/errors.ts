/** Every error that the operator raises on purpose. `code` is a constant for logs, metrics and conditions; the message is for people. */
export class EngineError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

export type TransientErrorOptions = ErrorOptions & {
  /** The other side asked for at least this pause, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
  /** Expected in normal operation (a lost race, HTTP 409): tried again without an error in the log or the error metric. */
  readonly quiet?: boolean | undefined;
  /** The backend that is down as a whole; closes the BackendGate of this name. */
  readonly backend?: string | undefined;
};

/** Trying again may help. */
export class TransientError extends EngineError {
  readonly retryAfterMs: number | undefined;
  readonly quiet: boolean;
  readonly backend: string | undefined;

  constructor(code: string, message: string, options: TransientErrorOptions = {}) {
    super(code, message, options.cause === undefined ? undefined : { cause: options.cause });
    this.retryAfterMs = options.retryAfterMs;
    this.quiet = options.quiet ?? false;
    this.backend = options.backend;
  }
}

/** Trying again cannot help until somebody changes the object. */
export class TerminalError extends EngineError {}

/** The resource version asked for is no longer (or not yet) available: list again (HTTP 410 Gone, reason Expired). */
export class ExpiredError extends TransientError {
  constructor(message: string, options: TransientErrorOptions = {}) {
    super('Expired', message, { ...options, quiet: true });
  }
}

/** What came over the watch could not be understood. The stream is given up and the state listed again. */
export class MalformedStreamError extends TransientError {
  constructor(message: string, options: TransientErrorOptions = {}) {
    super('MalformedStream', message, options);
  }
}

/** A short, safe description of anything that was thrown. */
export function describeError(error: unknown): { readonly code: string; readonly message: string } {
  if (error instanceof EngineError) return { code: error.code, message: error.message };
  if (error instanceof Error) {
    const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
    return { code, message: error.message };
  }
  return { code: 'Unknown', message: String(error) };
}
