import { REFERABLE_LABEL } from '#crds/api-group.ts';
import { REASON } from '#crds/conditions.ts';
import type { ReferencedSecret } from '../world/secrets.ts';
import type { Caution } from './conditions.ts';

/** What a Secret that an object refers to is used for, in words. */
export type Purpose = {
  /** What the label allows: `be sent`. */
  readonly allows: string;
  /** What to do instead of referring to a Secret of ours. */
  readonly instead: string;
};

/** The data of a Secret that an object refers to, or why it may not have them. */
export function referencedData(
  reference: ReferencedSecret,
  namespace: string,
  secretName: string,
  { allows, instead }: Purpose,
): { readonly data: Readonly<Record<string, string>> } | Caution {
  switch (reference.kind) {
    case 'absent':
      return {
        reason: REASON.SecretNotFound,
        message: `there is no Secret ${secretName} in namespace ${namespace}: make it, with the label ${REFERABLE_LABEL}: "true"`,
      };
    case 'ours':
      return {
        reason: REASON.SecretNotReferable,
        message: `Secret ${secretName} holds credentials that this operator wrote, and those are not for others: ${instead}`,
      };
    case 'notReferable':
      return {
        reason: REASON.SecretNotReferable,
        message: `Secret ${secretName} lacks the label that allows it to ${allows}; whoever may read it can say: kubectl -n ${namespace} label secret ${secretName} ${REFERABLE_LABEL}=true`,
      };
    case 'referable':
      return { data: reference.data };
  }
}
