/**
 * Whether an app may hold one more socket.
 * @param limit null: no limit
 * @param here sockets on this replica, the new one included
 * @param elsewhere sockets on all others
 */
export function withinConnectionQuota(limit: number | null, here: number, elsewhere: number): boolean {
  return limit === null || here + elsewhere <= limit;
}
