import type { Problem } from './folder/declarations.ts';

/** Says each problem once, and when a file is right again. */
export class ProblemReport {
  #told: ReadonlyMap<string, ReadonlySet<string>> = new Map();
  readonly #say: (line: string) => void;
  readonly #display: (path: string) => string;

  constructor(say: (line: string) => void, display: (path: string) => string) {
    this.#say = say;
    this.#display = display;
  }

  update(problems: readonly Problem[]): void {
    const now = new Map<string, Set<string>>();
    for (const { file, line, message } of problems) {
      const text = `${this.#display(file)}:${line === undefined ? '' : `${line}:`} ${message}`;
      now.set(file, (now.get(file) ?? new Set()).add(text));
    }
    for (const [file, texts] of now) {
      for (const text of texts) if (this.#told.get(file)?.has(text) !== true) this.#say(text);
    }
    for (const file of this.#told.keys()) if (!now.has(file)) this.#say(`${this.#display(file)}: is right again`);
    this.#told = now;
  }
}
