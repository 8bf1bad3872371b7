import type { Activity, ActivityLog } from './activity.ts';

const MOST = 1_000;

/** Of one process. Lost when it ends. */
export class MemoryActivityLog implements ActivityLog {
  /** Oldest first. */
  readonly entries: (Activity & { readonly appId: string })[] = [];

  tell(appId: string, activity: Activity): void {
    this.entries.push({ appId, ...activity });
    if (this.entries.length > MOST) this.entries.shift();
  }
}
