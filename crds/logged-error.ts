/** What a log says of an error. */
export type LoggedError = {
  readonly type: string;
  readonly code?: string;
  readonly message: string;
  readonly stack?: string;
  readonly cause?: LoggedError;
};

/**
 * pino's `serializers.err` for both processes: name, code, message, stack and cause, and nothing else. Libraries hang more on their errors:
 * ioredis the command with its arguments, which for `HELLO … AUTH` is the password.
 */
export function loggedError(error: unknown): LoggedError {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error) };
  const { name, message, stack, cause } = error;
  return {
    type: name,
    ...('code' in error && typeof error.code === 'string' ? { code: error.code } : {}),
    message,
    ...(stack === undefined ? {} : { stack }),
    ...(cause instanceof Error && cause !== error ? { cause: loggedError(cause) } : {}),
  };
}
