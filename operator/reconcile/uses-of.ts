import type { CredentialUse, CredentialUses } from '../registry/credential-use.ts';

/** Who uses the credentials of the apps that these belong to, by the credential's id. Without any, nobody is asked. */
export async function usesOf(
  uses: CredentialUses,
  credentials: readonly { readonly appId: string }[],
): Promise<Record<string, CredentialUse>> {
  const appIds = new Set(credentials.map(({ appId }) => appId));
  const known = await Promise.all([...appIds].map((appId) => uses.of(appId)));
  return Object.fromEntries(known.flatMap((ofApp) => [...ofApp]));
}
