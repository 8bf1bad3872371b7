import { z } from 'zod';
import type { Bus } from '../bus/bus.ts';
import { signal, type Signals } from '../bus/signals.ts';
import type { Counted } from '../occupancy/occupancy.ts';

/** Bus channel on which every replica that holds sockets of an app hears what others ask about them. */
export const RELAYS_CHANNEL = '#relays';
/** A replica that has not answered after this long, in milliseconds, is named and not waited for. */
const ANSWER_MS = 1_000;
const QUESTION = 'question';
const ANSWER = 'answer';

const question = z.object({ id: z.string(), replyTo: z.string(), about: z.string(), with: z.unknown() });
const answered = z.object({ id: z.string(), replica: z.string(), answer: z.unknown() });

export type Answers = {
  /** By replica, this one included. */
  readonly answers: ReadonlyMap<string, unknown>;
  /** Replicas that hold sockets of the app and did not answer; `*` when Redis did not say which there are. */
  readonly silent: readonly string[];
};

export type QuestionsParts = {
  readonly bus: Bus;
  readonly signals: Signals;
  /** This replica's name, as `replicas` has it. */
  readonly replica: string;
  /** Living replicas that hold sockets of an app (Occupancy). */
  readonly replicas: (appId: string) => Promise<Counted<readonly string[]>>;
  readonly nextId: () => string;
};

type Waiting = { readonly answers: Map<string, unknown>; readonly heard: () => void };

/**
 * Asks all replicas that hold sockets of an app, this one included, and waits for exactly these: a dead one costs a second at most, and
 * nobody else. Answers come back on a bus channel of the one who asked.
 */
export class Questions {
  readonly #parts: QuestionsParts;
  readonly #replyTo: string;
  readonly #waiting = new Map<string, Waiting>();

  constructor(parts: QuestionsParts) {
    this.#parts = parts;
    this.#replyTo = `#answers-${parts.replica}`;
    parts.signals.on(ANSWER, (_appId, _channel, content) => {
      const { data } = answered.safeParse(content);
      const waiting = data === undefined ? undefined : this.#waiting.get(data.id);
      if (data === undefined || waiting === undefined) return;
      waiting.answers.set(data.replica, data.answer);
      waiting.heard();
    });
  }

  /**
   * Answers what others, and this replica itself, ask. One handler for each name.
   * @param answerers by what a question is about; must not throw.
   */
  answerWith(answerers: Readonly<Record<string, (appId: string, asked: unknown) => unknown>>): void {
    const { bus, signals, replica } = this.#parts;
    signals.on(QUESTION, (appId, _channel, content) => {
      const { data } = question.safeParse(content);
      const answerer = data !== undefined && Object.hasOwn(answerers, data.about) ? answerers[data.about] : undefined;
      if (data === undefined || answerer === undefined) return;
      const answer = { type: ANSWER, id: data.id, replica, answer: answerer(appId, data.with) };
      if (data.replyTo === this.#replyTo) {
        signals.dispatch(appId, data.replyTo, { kind: 'signal', text: JSON.stringify(answer) });
      } else {
        void bus.publish(appId, [data.replyTo], { kind: 'signal', text: JSON.stringify(answer) });
      }
    });
  }

  async ask(appId: string, about: string, asked: unknown): Promise<Answers> {
    const { bus, signals, replicas, replica, nextId } = this.#parts;
    await bus.subscribe(appId, this.#replyTo);
    const id = nextId();
    const answers = new Map<string, unknown>();
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    const timer = setTimeout(end, ANSWER_MS);
    try {
      const { value, reached } = await replicas(appId);
      // This one is asked too, and answers at once, whether or not the others know that it holds sockets.
      const expected = new Set([...value, replica]);
      const silent = (): string[] => [...expected].filter((name) => !answers.has(name));
      this.#waiting.set(id, { answers, heard: () => silent().length === 0 && end() });
      const content = { type: QUESTION, id, replyTo: this.#replyTo, about, with: asked };
      void signal(bus, signals, appId, RELAYS_CHANNEL, content);
      await over;
      return { answers, silent: reached ? silent() : [...silent(), '*'] };
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(id);
      bus.unsubscribe(appId, this.#replyTo);
    }
  }
}
