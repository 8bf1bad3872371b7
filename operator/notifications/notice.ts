/** People get a week to prepare. */
const MOST_NOTICE_MS = 7 * 86_400_000;
/** But who rotates daily is not told a week before: a tenth of the time that a credential lives is enough. */
const SHARE_OF_LIFE = 10;

/**
 * When people are told of something that happens to a credential at `at`: 7 days before, and for one that lives shorter than 70 days a tenth
 * of its life before. Epoch ms.
 * @param lifeMs of the credential: the rotation's interval, or from its beginning to its end
 */
export function noticeAt(at: number, lifeMs: number): number {
  return at - Math.min(MOST_NOTICE_MS, Math.max(0, Math.floor(lifeMs / SHARE_OF_LIFE)));
}

/** Whether it is time to announce that. Not once it has happened: what comes too late is of no use to anybody. */
export function isNoticeDue(at: number, lifeMs: number, now: number): boolean {
  return noticeAt(at, lifeMs) <= now && now < at;
}
