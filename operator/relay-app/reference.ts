import type { Caution } from '../reconcile/conditions.ts';
import { referencedData, type Purpose } from '../reconcile/referenced-secret.ts';
import type { AppSnapshot } from './snapshot.ts';

/** The data of a Secret that the snapshot's object refers to, or why it cannot be had. */
export function referableData(
  { object, references }: Pick<AppSnapshot, 'object' | 'references'>,
  secretName: string,
  purpose: Purpose,
): { readonly data: Readonly<Record<string, string>> } | Caution {
  return referencedData(
    references.get(secretName) ?? { kind: 'absent' },
    object.metadata.namespace,
    secretName,
    purpose,
  );
}
