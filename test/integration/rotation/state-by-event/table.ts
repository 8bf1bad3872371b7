import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EventName } from './events.ts';
import type { StateName } from './states.ts';
import type { SubjectName } from './subjects.ts';

const COLUMNS: readonly SubjectName[] = ['app', 'token', 'certificate'];

export type Row = { readonly state: StateName; readonly event: EventName };
type Written = { readonly state: string; readonly event: string; readonly cells: readonly string[] };

/** The table of state-by-event.md: a heading for each state, below it a row for each event with a cell for each kind. */
export class Table {
  readonly #written: readonly Written[];
  readonly #reasons: ReadonlyMap<string, string>;

  private constructor(text: string) {
    const [, ...sections] = text.split(/^## /m);
    this.#written = sections.flatMap((section) => {
      const [state = '', ...lines] = section.split('\n');
      const [, , ...rows] = lines.filter((line) => line.startsWith('|'));
      return rows.map((line) => {
        const [event = '', ...cells] = line
          .split('|')
          .slice(1, -1)
          .map((cell) => cell.trim());
        return { state, event, cells };
      });
    });
    this.#reasons = new Map(
      [...text.matchAll(/^(\d+)\. (.+)$/gm)].map(([, number = '', why = '']) => [`(${number})`, why]),
    );
  }

  static read(): Table {
    return new Table(readFileSync(join(import.meta.dirname, 'state-by-event.md'), 'utf8'));
  }

  get rows(): readonly Pick<Written, 'state' | 'event'>[] {
    return this.#written.map(({ state, event }) => ({ state, event }));
  }

  get reasons(): readonly string[] {
    return [...this.#reasons.values()];
  }

  cell(row: Row, kind: SubjectName): string | undefined {
    const written = this.#written.find(({ state, event }) => state === row.state && event === row.event);
    return written?.cells[COLUMNS.indexOf(kind)];
  }

  /** Why there is no such pair; undefined: there is. */
  impossible(row: Row, kind: SubjectName): string | undefined {
    return this.#reasons.get(this.cell(row, kind) ?? '');
  }
}
