import type { CredentialUses } from './credential-use.ts';

/** Nobody tells what was used. */
export const NO_CREDENTIAL_USES: CredentialUses = {
  of: () => Promise.resolve(new Map()),
  knownUntil: () => null,
};
