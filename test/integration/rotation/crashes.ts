/** The process was killed: nothing that it had not written is left. */
export class Crash extends Error {
  constructor(call: string) {
    super(`killed at ${call}`);
    this.name = 'Crash';
  }
}

/** Reads of a cache: nobody dies of them, or is held up. */
const SYNCHRONOUS: ReadonlySet<string | symbol> = new Set(['get', 'ownedBy']);

/**
 * The same port, whose asynchronous calls may be the last thing that its process does: before them, so that nothing happened, or after
 * them, so that nobody learned that it did.
 * @param strike whether to be killed here; asked twice for each call
 */
export function mortal<T extends object>(port: T, name: string, strike: (call: string) => boolean): T {
  return new Proxy(port, {
    get: (target, property) => {
      const member: unknown = Reflect.get(target, property, target);
      if (typeof member !== 'function') return member;
      if (SYNCHRONOUS.has(property)) return (...args: unknown[]): unknown => Reflect.apply(member, target, args);
      return (...args: unknown[]): unknown => {
        const result: unknown = strike(`before ${name}.${String(property)}`)
          ? Promise.reject(new Crash(`before ${name}.${String(property)}`))
          : Reflect.apply(member, target, args);
        if (!(result instanceof Promise)) return result;
        return result.then((value: unknown) => {
          if (strike(`after ${name}.${String(property)}`)) throw new Crash(`after ${name}.${String(property)}`);
          return value;
        });
      };
    },
  });
}

/** The same port, whose asynchronous calls may be held up before they reach the other side. */
export function held<T extends object>(port: T, name: string, wait: (call: string) => Promise<void>): T {
  return new Proxy(port, {
    get: (target, property) => {
      const member: unknown = Reflect.get(target, property, target);
      if (typeof member !== 'function') return member;
      if (SYNCHRONOUS.has(property)) return (...args: unknown[]): unknown => Reflect.apply(member, target, args);
      return async (...args: unknown[]): Promise<unknown> => {
        await wait(`${name}.${String(property)}`);
        return Reflect.apply(member, target, args);
      };
    },
  });
}
