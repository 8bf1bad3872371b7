import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { PresenceChannel } from 'pusher-js';
import type { Relay } from '#relay/relay.ts';
import { DEFAULT_POLICY } from '#test/parts/app-policy.ts';
import { eventually } from '#test/parts/eventually.ts';
import { MemoryWorld } from './memory-relay.ts';
import { browser, collected, next, serverSdk } from './sdks.ts';
import { TestClient } from './test-client.ts';

let world: MemoryWorld;
let relay: Relay;
let other: Relay;

beforeEach(async () => {
  world = new MemoryWorld();
  await world.directory.setApp();
  relay = await world.relay();
  other = await world.relay();
});
afterEach(async () => {
  await relay[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});

const ids = (channel: PresenceChannel): string[] => {
  const all: string[] = [];
  channel.members.each(({ id }: { id: string }) => all.push(id));
  return all.sort();
};

describe('presence', () => {
  test('pusher-js: two users on three sockets of two replicas', async () => {
    using ada = browser(relay.port, { member: { user_id: 'ada', user_info: { name: 'Ada' } } });
    const atAda = ada.subscribe('presence-room') as PresenceChannel;
    await next(atAda, 'pusher:subscription_succeeded');
    expect([ids(atAda), atAda.members.count, (atAda.members.me as { info: unknown }).info]).toEqual([
      ['ada'],
      1,
      { name: 'Ada' },
    ]);
    const added = collected(atAda, 'pusher:member_added');
    const removed = collected(atAda, 'pusher:member_removed');

    using adaAgain = browser(other.port, { member: { user_id: 'ada', user_info: { name: 'Ada' } } });
    const atAdaAgain = adaAgain.subscribe('presence-room') as PresenceChannel;
    await next(atAdaAgain, 'pusher:subscription_succeeded');
    expect(ids(atAdaAgain)).toEqual(['ada']);
    const ownArrival = collected(atAdaAgain, 'pusher:member_added');

    using bob = browser(other.port, { member: { user_id: 'bob' } });
    const atBob = bob.subscribe('presence-room') as PresenceChannel;
    await next(atBob, 'pusher:subscription_succeeded');
    expect([ids(atBob), atBob.members.count]).toEqual([['ada', 'bob'], 2]);
    await eventually(() => ids(atAda).length === 2 && ids(atAdaAgain).length === 2);

    adaAgain.unsubscribe('presence-room');
    bob.disconnect();
    await eventually(() => removed.length > 0);
    expect(ids(atAda)).toEqual(['ada']);
    expect(added).toEqual([{ id: 'bob', info: null }]);
    expect(removed).toEqual([{ id: 'bob', info: null }]);
    expect(ownArrival).toEqual([{ id: 'bob', info: null }]);
  });

  test('a client event tells who sent it', async () => {
    await using ada = await TestClient.connected(relay.port);
    await using bob = await TestClient.connected(other.port);
    await Promise.all([ada.join('presence-room', 'ada'), bob.join('presence-room', 7)]);
    bob.send({ event: 'client-wave', channel: 'presence-room', data: {} });
    expect(await ada.event('client-wave')).toEqual({
      event: 'client-wave',
      channel: 'presence-room',
      data: '{}',
      user_id: '7',
    });
    await bob.settled();
    expect(bob.all('client-wave')).toEqual([]);
  });

  test('a full channel refuses another user, not another socket of a member', async () => {
    await world.directory.setApp({ limits: { ...DEFAULT_POLICY.limits, presenceMembers: 1, rate: null } });
    await using ada = await TestClient.connected(relay.port);
    await using adaAgain = await TestClient.connected(other.port);
    await using bob = await TestClient.connected(other.port);
    await ada.join('presence-room', 'ada');
    await adaAgain.join('presence-room', 'ada');
    bob.requestSubscription('presence-room', { user_id: 'bob' });
    const error = await bob.event('pusher:subscription_error', 'presence-room');
    expect(JSON.parse(String(error.data))).toMatchObject({ type: 'LimitReached', status: 403 });
    await bob.settled();
    expect([bob.closeCode, ada.all('pusher_internal:member_added')]).toEqual([undefined, []]);
    ada.unsubscribe('presence-room');
    adaAgain.unsubscribe('presence-room');
    await Promise.all([ada.settled(), adaAgain.settled()]);
    await bob.join('presence-room', 'bob');
  });

  test('after sign-in the sign-in says who it is', async () => {
    using ada = browser(relay.port, { user: { id: 'ada', user_info: { name: 'Ada' } } });
    ada.signin();
    const atAda = ada.subscribe('presence-room') as PresenceChannel;
    await next(atAda, 'pusher:subscription_succeeded');
    expect(atAda.members.me).toEqual({ id: 'ada', info: { name: 'Ada' } });
  });

  test('bad channel_data is refused', async () => {
    await using client = await TestClient.connected(relay.port);
    client.requestSubscription('presence-room', { user_id: '' });
    const error = await client.event('pusher:subscription_error', 'presence-room');
    expect(JSON.parse(String(error.data))).toMatchObject({ type: 'InvalidChannelData', status: 400 });
  });
});

describe('cache channels', () => {
  test.each(['cache-state', 'private-cache-state', 'presence-cache-state'])('pusher-js on %s', async (name) => {
    using early = browser(relay.port, { member: { user_id: 'ada' } });
    const first = early.subscribe(name);
    const missed = next(first, 'pusher:cache_miss');
    await missed;
    await serverSdk(relay.port).trigger(name, 'changed', { n: 1 });
    await serverSdk(other.port).trigger(name, 'changed', { n: 2 });

    using late = browser(other.port, { member: { user_id: 'bob' } });
    const second = late.subscribe(name);
    const misses = collected(second, 'pusher:cache_miss');
    expect(await next(second, 'changed')).toEqual({ n: 2 });
    expect(misses).toEqual([]);
  });

  test('subscription_succeeded comes first; client events are not kept', async () => {
    await using client = await TestClient.connected(relay.port);
    await client.subscribe('private-cache-state');
    client.send({ event: 'client-x', channel: 'private-cache-state', data: {} });
    await client.settled();
    await using late = await TestClient.connected(relay.port);
    await late.subscribe('private-cache-state');
    await late.settled();
    expect(late.received.slice(1, 3)).toEqual([
      { event: 'pusher_internal:subscription_succeeded', channel: 'private-cache-state', data: '{}' },
      { event: 'pusher:cache_miss', channel: 'private-cache-state', data: '{}' },
    ]);
    expect(late.all('client-x')).toEqual([]);
  });
});

describe('encrypted channels', () => {
  test.each(['private-encrypted-room', 'private-encrypted-cache-room'])('pusher-js on %s', async (name) => {
    using client = browser(relay.port);
    const channel = client.subscribe(name);
    await next(channel, 'pusher:subscription_succeeded');
    const event = next(channel, 'told');
    await serverSdk(other.port).trigger(name, 'told', { secret: 'plain' });
    expect(await event).toEqual({ secret: 'plain' });
  });

  test('switched off: refused, and the socket stays', async () => {
    await world.directory.setApp({ channels: { ...DEFAULT_POLICY.channels, encrypted: false } });
    await using client = await TestClient.connected(relay.port);
    client.requestSubscription('private-encrypted-room');
    const error = await client.event('pusher:subscription_error', 'private-encrypted-room');
    expect(JSON.parse(String(error.data))).toMatchObject({ type: 'NotServed', status: 403 });
    await client.settled();
    expect(client.closeCode).toBeUndefined();
  });

  test('a client event, which would be plain text, is refused', async () => {
    await using client = await TestClient.connected(relay.port);
    await using receiver = await TestClient.connected(relay.port);
    await Promise.all([client, receiver].map((one) => one.subscribe('private-encrypted-room')));
    client.send({ event: 'client-x', channel: 'private-encrypted-room', data: 'plain' });
    expect(await client.event('pusher:error')).toMatchObject({ data: { code: null } });
    await receiver.settled();
    expect(receiver.all('client-x')).toEqual([]);
  });
});

test('a socket has at most so many subscriptions', async () => {
  await using small = await world.relay({ maxSubscriptions: 2 });
  await using client = await TestClient.connected(small.port);
  await client.subscribe('one');
  await client.subscribe('two');
  client.requestSubscription('three');
  const error = await client.event('pusher:subscription_error', 'three');
  expect(JSON.parse(String(error.data))).toMatchObject({ type: 'LimitReached', status: 403 });
  client.unsubscribe('one');
  await client.subscribe('three');
});

test('what is counted: who got an event, and a client event that a fence refused', async () => {
  const metrics = async (): Promise<string> => (await fetch(`http://127.0.0.1:${relay.metricsPort}/metrics`)).text();
  await using sender = await TestClient.connected(relay.port);
  await using receiver = await TestClient.connected(relay.port);
  await Promise.all([sender, receiver].map((one) => one.subscribe('private-room')));
  sender.send({ event: 'client-x', channel: 'private-room', data: {} });
  await receiver.event('client-x');
  const counted = await metrics();
  expect(counted).toContain('relay_events_delivered_total 1\n');
  expect(counted).toContain('relay_events_published_total{reach="everywhere"} 1\n');
  expect(counted).toContain('relay_events_published_total{reach="local"} 0\n');
  // A scrape reads, and adds nothing.
  expect(await metrics()).toContain('relay_events_published_total{reach="everywhere"} 1\n');
  // Time closes a fence; nobody announces it here.
  world.directory.isFenced = true;
  sender.send({ event: 'client-x', channel: 'private-room', data: {} });
  expect(await sender.closed()).toBe(4100);
  expect(await metrics()).toContain('relay_refusals_total{door="live",code="directory_fenced"} 1\n');
});

test('subscription_count reaches pusher-js', async () => {
  await world.directory.setApp({ channels: { ...DEFAULT_POLICY.channels, subscriptionCounts: true } });
  using first = browser(relay.port);
  const channel = first.subscribe('orders');
  const counts = collected(channel, 'pusher:subscription_count');
  await next(channel, 'pusher:subscription_succeeded');
  await using second = await TestClient.connected(other.port);
  await second.subscribe('orders');
  await eventually(() => counts.some((count) => (count as { subscription_count: number }).subscription_count === 2));
});
