/** `metav1.Condition` (k8s.io/apimachinery, meta/v1 types.go). */
export type StatusCondition<Type extends string = string> = {
  readonly type: Type;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
  /** RFC 3339, when `status` last changed; not when anything else did. */
  readonly lastTransitionTime: string;
  readonly observedGeneration?: number | undefined;
};

/** A condition as a plan states it: without the time, which depends on what was there before. */
export type WantedCondition<Type extends string = string> = Omit<StatusCondition<Type>, 'lastTransitionTime'>;

/** RFC 3339 in whole seconds, as metav1.Time is written. `ms` since the epoch. */
export function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/** Sets one condition; the very same list when it says so already. `now` in milliseconds since the epoch. */
export function setCondition<Type extends string>(
  existing: readonly StatusCondition<Type>[],
  wanted: WantedCondition<Type>,
  now: number,
): readonly StatusCondition<Type>[] {
  const index = existing.findIndex(({ type }) => type === wanted.type);
  const before = existing[index];
  if (before === undefined) return [...existing, { ...wanted, lastTransitionTime: timestamp(now) }];
  const lastTransitionTime = before.status === wanted.status ? before.lastTransitionTime : timestamp(now);
  const next = { ...wanted, lastTransitionTime };
  return sameMeaning(before, next) ? existing : existing.with(index, next);
}

/**
 * The conditions after a reconcile: each wanted one set, keeping its time unless its status changed; each `owned` one that is no longer
 * wanted removed (`Stalled` and its like exist only while True); those of others kept as they are.
 */
export function mergeConditions<Type extends string>(
  existing: readonly StatusCondition<Type>[],
  wanted: readonly WantedCondition<Type>[],
  { now, owned }: { readonly now: number; readonly owned: readonly Type[] },
): readonly StatusCondition<Type>[] {
  const types = new Set(wanted.map(({ type }) => type));
  const gone = (type: Type): boolean => owned.includes(type) && !types.has(type);
  let merged = existing.some(({ type }) => gone(type)) ? existing.filter(({ type }) => !gone(type)) : existing;
  for (const condition of wanted) merged = setCondition(merged, condition, now);
  return merged;
}

/**
 * True when two statuses (any JSON values) say the same: key order and keys that are undefined make no difference, nor does the order of a
 * map list (objects with a `type`, as conditions are). What is the same in meaning is not written.
 */
export function sameMeaning(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    if (a.length !== b.length) return false;
    const [left, right] = [byType(a), byType(b)];
    return left.every((item, index) => sameMeaning(item, right[index]));
  }
  if (!isRecord(a) || !isRecord(b)) return false;
  for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
    if (!sameMeaning(a[key], b[key])) return false;
  }
  return true;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function byType(list: readonly unknown[]): readonly unknown[] {
  const types = list.map((item) => (isRecord(item) && typeof item['type'] === 'string' ? item['type'] : undefined));
  if (types.includes(undefined)) return list;
  const order = (item: unknown): string => (isRecord(item) ? String(item['type']) : '');
  return list.toSorted((a, b) => (order(a) < order(b) ? -1 : 1));
}
