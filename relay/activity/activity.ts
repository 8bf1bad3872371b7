/** Something that the owners of an app should know. Never holds a secret, a URL or anything of an event. */
export type Activity = {
  readonly type: 'secret_found' | 'refused';
  readonly detail: Readonly<Record<string, string | number>>;
};

/** The app's activity. Who tells often caps how often: only so many entries are kept. */
export interface ActivityLog {
  /** Never waits and never throws; while it cannot be written, nothing is kept. */
  tell(appId: string, activity: Activity): void;
}
