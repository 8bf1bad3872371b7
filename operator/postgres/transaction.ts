import type pg from 'pg';

/**
 * Runs `work` in one transaction (READ COMMITTED) on a connection of its own: commits when it resolves, rolls back when it throws.
 * When the connection is lost during COMMIT the outcome is unknown and the error says so by being thrown: the caller repeats its work,
 * which must be idempotent.
 */
export async function inTransaction<T>(pool: pg.Pool, work: (tx: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query('BEGIN');
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    try {
      await client.query('ROLLBACK');
    } catch (cause) {
      broken = cause instanceof Error ? cause : new Error('ROLLBACK failed', { cause });
    }
    throw error;
  } finally {
    // A connection that cannot even roll back is not given to the next caller.
    client.release(broken);
  }
}
