import { readFile } from 'node:fs/promises';

/** The users of docs/redis.md, as lines of an ACL file. */
export async function documentedUsers(): Promise<string[]> {
  const text = await readFile(new URL('../../docs/redis.md', import.meta.url), 'utf8');
  const users = text.split('\n').filter((line) => line.startsWith('ACL SETUSER '));
  return ['user default on nopass ~* &* +@all', ...users.map((line) => line.replace('ACL SETUSER', 'user'))];
}

export function withUser(url: string, user: 'relay-operator' | 'relay'): string {
  const password = user === 'relay' ? 'relay-password' : 'operator-password';
  return url.replace('://', `://${user}:${password}@`);
}
