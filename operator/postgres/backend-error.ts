import { UnsealError } from '#crds/sealed.ts';
import { NotLeadingError } from '../directory/errors.ts';
import { EngineError, TerminalError, TransientError } from '../engine/errors.ts';

/** The name of the gate that a lost database closes (engine/backend-gate.ts). */
export const POSTGRES = 'postgres';

/** SQLSTATE classes that mean "not now": connection exceptions, resources, operator intervention, system errors; serialisation failures. */
const NOT_NOW = /^(08|53|57|58|40)/;

/** Whether PostgreSQL cannot be worked with at all at the moment, as opposed to refusing one statement. */
export function isPostgresUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  // A fault of our own is no outage.
  if (error instanceof TypeError || error instanceof RangeError || error instanceof SyntaxError) return false;
  const code = sqlState(error);
  return code === undefined || NOT_NOW.test(code);
}

function sqlState(error: Error): string | undefined {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  return code !== undefined && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/** Runs a registry call; what PostgreSQL throws becomes an error that the engine understands. */
export async function asTransient<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof NotLeadingError)
      throw new TransientError(error.code, error.message, { cause: error, quiet: true });
    if (error instanceof EngineError || !(error instanceof Error)) throw error;
    // Of this object alone, and nothing that waiting for PostgreSQL could mend.
    if (error instanceof UnsealError)
      throw new TerminalError('SecretNotOpened', `${error.message}: is an old key missing from ENCRYPTION_KEYS?`, {
        cause: error,
      });
    // Two reconciles raced for one identity: the constraint decided, look again.
    if (sqlState(error) === '23505')
      throw new TransientError('RegistryConflict', 'another row was registered meanwhile', {
        cause: error,
        quiet: true,
      });
    if (!isPostgresUnavailable(error)) throw error;
    throw new TransientError('PostgresUnavailable', `PostgreSQL: ${error.message}`, {
      cause: error,
      backend: POSTGRES,
    });
  }
}
