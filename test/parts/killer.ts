/** What a process that is killed ends with. */
export class Killed extends Error {}

/** Counts the calls of methods that change something, and dies before or after one of them. */
export class Killer {
  calls: string[] = [];
  at: { readonly call: number; readonly when: 'before' | 'after' } | undefined;

  wrap<T extends object>(target: T, methods: readonly (keyof T)[], done: () => Promise<void> = async () => {}): T {
    return new Proxy(target, {
      get: (of, name) => {
        const value: unknown = Reflect.get(of, name);
        if (typeof value !== 'function') return value;
        if (!methods.includes(name as keyof T)) return value.bind(of) as unknown;
        return async (...args: unknown[]): Promise<unknown> => {
          const call = this.calls.push(String(name));
          if (this.at?.call === call && this.at.when === 'before') throw new Killed();
          const result: unknown = await Reflect.apply(value, of, args);
          await done();
          if (this.at?.call === call && this.at.when === 'after') throw new Killed();
          return result;
        };
      },
    });
  }
}
