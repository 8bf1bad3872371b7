import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { MemoryBus, MemoryWire } from '../bus/memory.ts';
import { Signals } from '../bus/signals.ts';
import { Questions, RELAYS_CHANNEL } from './questions.ts';

const wire = new MemoryWire();

async function replica(name: string, holders: () => { value: string[]; reached: boolean }): Promise<Questions> {
  const signals = new Signals();
  const bus = new MemoryBus(wire, name, (appId, channel, message) => {
    if (message.kind === 'signal') signals.dispatch(appId, channel, message);
  });
  const questions = new Questions({
    bus,
    signals,
    replica: name,
    replicas: () => Promise.resolve(holders()),
    nextId: randomUUID,
  });
  questions.answerWith({ echo: (appId, asked) => ({ appId, asked, from: name }) });
  await bus.subscribe('101', RELAYS_CHANNEL);
  return questions;
}

describe('asking all replicas', () => {
  test('each one answers once, this one included; nobody is waited for in vain', async () => {
    const [one] = await Promise.all(
      ['one', 'two', 'three'].map((name) => replica(name, () => ({ value: ['one', 'two', 'three'], reached: true }))),
    );
    const { answers, silent } = (await one?.ask('101', 'echo', { n: 1 })) ?? { answers: new Map(), silent: ['?'] };
    expect(silent).toEqual([]);
    expect(Object.fromEntries(answers)).toEqual({
      one: { appId: '101', asked: { n: 1 }, from: 'one' },
      two: { appId: '101', asked: { n: 1 }, from: 'two' },
      three: { appId: '101', asked: { n: 1 }, from: 'three' },
    });
  });

  test('one that does not answer is named, and the others are heard', async () => {
    const asker = await replica('asker', () => ({ value: ['two', 'dead'], reached: true }));
    const { answers, silent } = await asker.ask('101', 'echo', 0);
    expect(silent).toEqual(['dead']);
    expect([...answers.keys()]).toEqual(expect.arrayContaining(['asker', 'two']));
  });

  test('nobody knows who there is: what answers counts, and * says that it may not be all', async () => {
    const asker = await replica('cut-off', () => ({ value: [], reached: false }));
    const { answers, silent } = await asker.ask('101', 'echo', 0);
    expect(silent).toEqual(['*']);
    expect(answers.has('cut-off')).toBe(true);
  });

  test('another app hears nothing, and garbage on the wire is no answer', async () => {
    const asker = await replica('lonely', () => ({ value: [], reached: true }));
    wire.carry('101', '#answers-lonely', Buffer.from('s\nx\n\n{"type":"answer","id":7}'));
    wire.carry('101', RELAYS_CHANNEL, Buffer.from('s\nx\n\n{"type":"question"}'));
    for (const about of ['__proto__', '__defineGetter__']) {
      const question = { type: 'question', id: '7', replyTo: '#answers-lonely', about, with: null };
      wire.carry('101', RELAYS_CHANNEL, Buffer.from(`s\nx\n\n${JSON.stringify(question)}`));
    }
    const { answers } = await asker.ask('102', 'echo', 0);
    expect([...answers.keys()]).toEqual(['lonely']);
  });
});
