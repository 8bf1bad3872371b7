import type { Registry } from 'prom-client';
import { question, type Answer } from './worker-protocol.ts';

/** Answers the supervisor's questions for as long as the process lives. Only in a process that `node:cluster` forked. */
export function answerSupervisor(parts: { readonly ready: () => boolean; readonly registry: Registry }): void {
  const send = (answer: Answer): void => {
    // Nobody to tell when the supervisor is gone: cluster then ends this process.
    process.send?.(answer, undefined, undefined, () => undefined);
  };
  process.on('message', (message) => {
    const asked = question.safeParse(message).data;
    if (asked?.ask === 'ready') send({ answer: asked.id, ready: parts.ready() });
    if (asked?.ask !== 'metrics') return;
    void parts.registry.getMetricsAsJSON().then((metrics) => send({ answer: asked.id, metrics }));
  });
}
