import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, test } from 'vitest';
import { eventually } from '#test/parts/eventually.ts';
import { redisCommand } from '#test/parts/redis.ts';
import { serverSdk } from '../relay/relay-installation.ts';
import { TestClient } from '../relay/test-client.ts';
import { effort } from './effort.ts';
import { RedisWorld, type Replica } from './redis-world.ts';
import { believed, isPresence, ReferenceModel, rosterOf, userOf, type Draw, type Step } from './reference-model.ts';
import { subscribeMessage, type Credentials } from './signed-messages.ts';
import { startWebhookReceiver, type WebhookReceiver } from './webhook-receiver.ts';

// Random clients, channels and faults over replicas with a real Redis. When it is quiet again, everything that can be asked, everything
// that clients were told and everything that webhooks said equals a model that knows nothing of replicas.

const REPLICAS = 3;
const CLIENTS = 6;
const CHANNELS = ['presence-a', 'presence-b', 'private-a', 'open-a'];
/** Longer than the slowest way to the right state: a sender of webhooks that died, whose lease must end (15 s). */
const QUIET = { timeout: 25_000, interval: 50 };

/** Longer than webhooks are held in a store that has just lost everything (redis-world.ts). */
const SETTLED_MS = 2_500;

let world: RedisWorld;
let receiver: WebhookReceiver;
const replicas: Replica[] = [];
let apps = 1_000;

beforeAll(async () => {
  receiver = await startWebhookReceiver();
  world = await RedisWorld.start();
  for (let n = 0; n < REPLICAS; n++) replicas.push(await world.replica());
});
afterAll(async () => {
  await Promise.all(replicas.map((replica) => replica.stop()));
  await world[Symbol.asyncDispose]();
  await receiver[Symbol.asyncDispose]();
});

const replica = fc.nat({ max: REPLICAS - 1 });
const somebody = {
  client: fc.nat({ max: CLIENTS - 1 }),
  replica,
  channel: fc.oneof({ weight: 2, arbitrary: fc.constant('presence-a') }, fc.constantFrom(...CHANNELS)),
};
const pick = fc.nat({ max: 1_000 });
const draw: fc.Arbitrary<Draw> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('connect'), ...somebody }) },
  { weight: 24, arbitrary: fc.record({ do: fc.constant('subscribe'), ...somebody }) },
  { weight: 10, arbitrary: fc.record({ do: fc.constant('unsubscribe'), pick }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('leave'), pick, rudely: fc.boolean() }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('wait'), ms: fc.constantFrom(1, 20, 100, 400, 1_600) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom('kill', 'cutOff', 'heal'), replica }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('flush', 'restartRedis') }) },
);

/** One app's life. */
class Run implements AsyncDisposable {
  readonly appId = String((apps += 1));
  readonly model = new ReferenceModel();
  readonly #credentials: Credentials = { key: `${this.appId}key`, secret: `${this.appId}secret` };
  readonly #clients = new Map<number, TestClient>();
  /** Channels and members of which a webhook may have been lost with Redis' memory. */
  readonly #unknown = new Set<string>();
  readonly #changedAt = new Map<string, number>();
  #hasLost = false;
  /** For the message of a failure. */
  readonly #life: string[] = [];
  readonly #begun = performance.now();

  async begin(): Promise<this> {
    const { key, secret } = this.#credentials;
    await world.memory.directory.setApp({
      appId: this.appId,
      keys: [{ id: 'k1', key, secret }],
      webhooks: [
        {
          name: 'all',
          url: `${receiver.url}/${this.appId}`,
          events: ['channel_occupied', 'channel_vacated', 'member_added', 'member_removed'],
          channelPrefix: null,
          batching: false,
          headers: null,
        },
      ],
    });
    return this;
  }

  async draw(draw: Draw): Promise<void> {
    for (const step of this.model.steps(draw)) await this.#take(step);
  }

  async #take(step: Step): Promise<void> {
    const before = this.#truth();
    if (step.do === 'flush' || step.do === 'restartRedis') {
      this.#hasLost = true;
      this.#forget(before);
    }
    this.model.take(step);
    for (const name of difference(before, this.#truth())) this.#changedAt.set(name, performance.now());
    // Nobody is left who could tell what a killed replica had in a Redis that forgot it.
    if (step.do === 'kill' && this.#hasLost) this.#forget(before);
    this.#life.push(`${(performance.now() - this.#begun).toFixed(0)} ${JSON.stringify(step)}`);
    await this.#act(step);
  }

  /** What has just changed may have been on its way to Redis, or held there, and not be told any more. */
  #forget(truth: ReadonlySet<string>): void {
    for (const name of difference(truth, this.#told())) this.#unknown.add(name);
    for (const [name, at] of this.#changedAt) if (performance.now() - at < SETTLED_MS) this.#unknown.add(name);
  }

  async #act(step: Step): Promise<void> {
    switch (step.do) {
      case 'connect':
        this.#clients.set(
          step.client,
          await TestClient.connected(this.#replica(step.replica).relay.port, this.#credentials.key),
        );
        return;
      case 'leave':
        if (step.rudely) this.#client(step.client).webSocket.terminate();
        else this.#client(step.client).webSocket.close();
        this.#clients.delete(step.client);
        return;
      case 'subscribe': {
        const { socketId } = this.#client(step.client);
        const member = isPresence(step.channel) ? { user_id: userOf(step.client) } : undefined;
        return this.#client(step.client).send(subscribeMessage(this.#credentials, socketId, step.channel, member));
      }
      case 'unsubscribe':
        return this.#client(step.client).send({ event: 'pusher:unsubscribe', data: { channel: step.channel } });
      case 'kill':
        this.#replica(step.replica).kill();
        replicas[step.replica] = await world.replica();
        for (const id of this.#clients.keys()) if (!this.model.clients.has(id)) this.#clients.delete(id);
        return;
      case 'cutOff':
        return this.#replica(step.replica).cutOff();
      case 'heal':
        return this.#replica(step.replica).heal();
      case 'wait':
        await delay(step.ms);
        return;
      case 'flush':
        await redisCommand(world.redis.url, 'FLUSHALL');
        return;
      case 'restartRedis':
        await world.redis.kill9();
        return world.redis.start();
    }
  }

  async isAsTheModelSays(): Promise<void> {
    for (const replica of replicas) replica.heal();
    const wanted = sorted(this.model.subscriptions());
    for (const [at, { relay }] of replicas.entries()) {
      const sdk = serverSdk({ port: relay.port }, { appId: this.appId, ...this.#credentials });
      const ask = async (path: string, info: string): Promise<unknown> =>
        (await sdk.get({ path, params: info === '' ? {} : { info } })).json();
      await this.#becomes(`subscriptions asked at ${at}`, wanted, async () => {
        const { channels } = (await ask('/channels', 'subscription_count')) as Record<
          string,
          Record<string, { subscription_count: number }>
        >;
        return sorted(new Map(Object.entries(channels ?? {}).map(([name, info]) => [name, info.subscription_count])));
      });
      for (const channel of CHANNELS.filter(isPresence)) {
        const members = [...this.model.members(channel)].toSorted();
        await this.#becomes(`users of ${channel} asked at ${at}`, members, async () => {
          const { users } = (await ask(`/channels/${channel}/users`, '')) as { users: { id: string }[] };
          return users.map(({ id }) => id).toSorted();
        });
      }
      await this.#becomes(`connections asked at ${at}`, this.model.clients.size, () => this.#connections(relay.port));
    }
    for (const [id, { channels }] of this.model.clients) {
      for (const channel of [...channels].filter(isPresence)) {
        const frames = (): TestClient['received'] =>
          this.#client(id).received.filter((frame) => frame.channel === channel);
        const members = [...this.model.members(channel)].toSorted();
        await this.#becomes(`roster of ${channel} at client ${id}`, members, () => [...rosterOf(frames())].toSorted());
      }
    }
    await this.#eventsArrive();
    await this.#becomes('webhooks', '', () => {
      const wrong = difference(this.#truth(), this.#told()).filter((name) => !this.#unknown.has(name));
      return wrong.join(', ');
    });
  }

  /** From every replica to every subscriber, wherever: once. */
  async #eventsArrive(): Promise<void> {
    for (const [at, { relay }] of replicas.entries()) {
      const sdk = serverSdk({ port: relay.port }, { appId: this.appId, ...this.#credentials });
      for (const channel of this.model.subscriptions().keys()) {
        const subscribers = [...this.model.clients].filter(([, { channels }]) => channels.has(channel));
        let tries = 0;
        await eventually(async () => {
          const event = `marker-${at}-${(tries += 1)}`;
          await sdk.trigger(channel, event, '');
          await Promise.all(
            subscribers.map(([id]) =>
              eventually(
                () => this.#client(id).received.some((frame) => frame.event === event && frame.channel === channel),
                {
                  timeout: 1_000,
                  interval: 5,
                  describe: `${event} of ${channel} at client ${id}`,
                },
              ),
            ),
          );
          return true;
        }, QUIET);
      }
    }
    for (const [id, { channels }] of this.model.clients) {
      await this.#client(id).settled();
      const markers = this.#client(id).received.filter(({ event }) => event.startsWith('marker-'));
      const names = markers.map(({ event, channel }) => `${channel} ${event}`);
      const isWrong = new Set(names).size < names.length || markers.some(({ channel = '' }) => !channels.has(channel));
      if (isWrong) throw new Error(`twice, or not subscribed to, at client ${id}: ${names.join(', ')}`);
    }
  }

  async #becomes<T>(what: string, wanted: T, read: () => T | Promise<T>): Promise<void> {
    let last: unknown;
    await eventually(async () => {
      last = await read();
      return JSON.stringify(last) === JSON.stringify(wanted);
    }, QUIET).catch((error: unknown) => {
      const life = [...this.#life, ...receiver.timed(`/${this.appId}`, this.#begun)].join('\n');
      throw new Error(`${what}: ${JSON.stringify(last)} instead of ${JSON.stringify(wanted)}\n${life}`, {
        cause: error,
      });
    });
  }

  async #connections(port: number): Promise<number> {
    const { key, secret } = this.#credentials;
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/apps/${this.appId}/connections`, {
      headers: { 'x-relay-key': key, 'x-relay-secret': secret },
    });
    return ((await response.json()) as { connections: unknown[] }).connections.length;
  }

  /** Occupied channels and members, as names. */
  #truth(): Set<string> {
    const channels = [...this.model.subscriptions().keys()];
    const members = channels
      .filter(isPresence)
      .flatMap((name) => [...this.model.members(name)].map((user) => `${name} ${user}`));
    return new Set([...channels, ...members]);
  }

  #told(): Set<string> {
    const { occupied, members } = believed(receiver.events(`/${this.appId}`));
    return occupied.union(members);
  }

  #client(id: number): TestClient {
    const found = this.#clients.get(id);
    if (found === undefined) throw new Error(`there is no client ${id}`);
    return found;
  }

  #replica(index: number): Replica {
    const found = replicas[index];
    if (found === undefined) throw new Error(`there is no replica ${index}`);
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const replica of replicas) replica.heal();
    for (const client of this.#clients.values()) await client[Symbol.asyncDispose]();
  }
}

const difference = (one: ReadonlySet<string>, other: ReadonlySet<string>): string[] => [
  ...one.symmetricDifference(other),
];
const sorted = (counts: ReadonlyMap<string, number>): [string, number][] =>
  [...counts].toSorted(([one], [other]) => (one < other ? -1 : 1));

test('after any life of an app the replicas agree with the model', { timeout: 600_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(draw, { minLength: 20, maxLength: 60, size: 'max' }), async (draws) => {
      await using run = await new Run().begin();
      for (const one of draws) await run.draw(one);
      await run.isAsTheModelSays();
    }),
    { ...effort(8), endOnFailure: true },
  );
});
