import type { ObjectRef } from '../world/object-ref.ts';

/** Who is acting, for the audit log: the object that was reconciled and its UID. */
export type Subject = ObjectRef & { readonly uid: string };
