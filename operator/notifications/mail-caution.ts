import { REASON } from '#crds/conditions.ts';
import type { Caution } from '../reconcile/conditions.ts';

/** For the Warning of an app that asks for mail where nobody can send any. @param notify `spec.rotation.notify` */
export function mailCaution(notify: readonly string[], mail: boolean): readonly Caution[] {
  if (mail || notify.length === 0) return [];
  const message =
    'spec.rotation.notify asks for mail and this operator sends none: set its SMTP_URL and SMTP_FROM, or remove the field';
  return [{ reason: REASON.MailNotConfigured, message }];
}
