import { TransientError } from '../engine/errors.ts';
import type { Recorder } from '../world/recorder.ts';

type Refusal = {
  readonly recorder: Recorder;
  readonly object: Parameters<Recorder['event']>[0];
  /** Of the Event. */
  readonly reason: 'SecretNotWritten' | 'CertificateNotWritten';
  readonly message: (error: TransientError) => string;
};

/** A refusal that is about this very write (a quota, a policy, a webhook) is told to whoever looks at the object, and thrown on. */
export async function tellRefusal(
  { recorder, object, reason, message }: Refusal,
  write: () => Promise<void>,
): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (error instanceof TransientError && !error.quiet && error.backend === undefined)
      recorder.event(object, 'Warning', reason, message(error));
    throw error;
  }
}
