import type { ServerName } from './servers.ts';

/** What a scenario is about: one number per measurement, in this unit. */
export type Figure = 'cpuPerDelivery' | 'cpuPerPublish' | 'memoryPerSocket';

export type Target =
  /** The relay's figure is at most `ratio` × that of `against`, the median over rounds. */
  | { readonly against: ServerName; readonly ratio: number }
  /** The relay's figure itself is at most this. */
  | { readonly atMost: number };

export type Scenario = {
  readonly name: string;
  /** One line for the report: what happens. */
  readonly title: string;
  /** Arguments of the load generator (bench/native/load.c) besides port, process ids and length. */
  readonly load: readonly string[];
  readonly figure: Figure;
  /** All of them are measured in each round, in turning order. */
  readonly servers: readonly ServerName[];
  readonly target?: Target;
};

const FAN_OUT = ['c-per-event', 'c-per-wakeup', 'node-ws-send', 'relay'] as const;
const THOUSAND = ['--sockets', '1000'];

/** Every scenario of the stand. A new one is a row here and nothing else. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'rate-30',
    title: '1,000 sockets on one channel, 30 events a second',
    load: [...THOUSAND, '--mode', 'rate', '--rate', '30'],
    figure: 'cpuPerDelivery',
    servers: FAN_OUT,
    target: { against: 'c-per-event', ratio: 1.8 },
  },
  {
    name: 'rate-100',
    title: '1,000 sockets on one channel, 100 events a second',
    load: [...THOUSAND, '--mode', 'rate', '--rate', '100'],
    figure: 'cpuPerDelivery',
    servers: FAN_OUT,
    target: { against: 'c-per-event', ratio: 1.4 },
  },
  {
    name: 'closed-loop',
    title: '1,000 sockets on one channel, four publishers that publish again as soon as they are answered',
    load: [...THOUSAND, '--mode', 'loop', '--lanes', '4'],
    figure: 'cpuPerDelivery',
    servers: FAN_OUT,
    target: { against: 'c-per-wakeup', ratio: 1.3 },
  },
  {
    name: 'bursts',
    title: '1,000 sockets on one channel, four batches of ten at once, again as soon as all is delivered',
    load: [...THOUSAND, '--mode', 'burst', '--lanes', '4', '--batch', '10'],
    figure: 'cpuPerDelivery',
    servers: FAN_OUT,
    target: { against: 'c-per-wakeup', ratio: 1.3 },
  },
  {
    name: 'channels-100',
    title: '1,000 sockets, ten on each of 100 channels, 1,000 events a second over all of them',
    load: [...THOUSAND, '--channels', '100', '--mode', 'rate', '--rate', '1000', '--lanes', '8'],
    figure: 'cpuPerDelivery',
    servers: FAN_OUT,
  },
  {
    name: 'publish-signed',
    title: 'no subscriber, sixteen publishers in a closed loop, Pusher signature',
    load: ['--mode', 'loop', '--lanes', '16', '--signed'],
    figure: 'cpuPerPublish',
    servers: ['node-http-hmac', 'relay'],
    target: { against: 'node-http-hmac', ratio: 1.5 },
  },
  {
    name: 'publish-key-secret',
    title: 'no subscriber, sixteen publishers in a closed loop, X-Relay-Key and X-Relay-Secret',
    load: ['--mode', 'loop', '--lanes', '16'],
    figure: 'cpuPerPublish',
    servers: ['relay'],
  },
  {
    name: 'workers',
    title: 'closed loop of eight publishers, 1,000 sockets on one channel: one and two worker processes, bus in Redis',
    load: [...THOUSAND, '--mode', 'loop', '--lanes', '8'],
    figure: 'cpuPerDelivery',
    servers: ['relay-1-worker', 'relay-2-workers'],
  },
  {
    name: 'workers-publish',
    title: 'sixteen signed publishers in a closed loop, no subscriber: one and two worker processes, bus in Redis',
    load: ['--mode', 'loop', '--lanes', '16', '--signed'],
    figure: 'cpuPerPublish',
    servers: ['relay-1-worker', 'relay-2-workers'],
  },
  {
    name: 'idle',
    title: '10,000 idle sockets, one subscription each, one channel',
    load: ['--sockets', '10000', '--mode', 'idle', '--lanes', '0', '--settle', '15'],
    figure: 'memoryPerSocket',
    servers: FAN_OUT,
    target: { atMost: 10 },
  },
  {
    name: 'idle-own-channels',
    title: '10,000 idle sockets, one subscription each, a channel each',
    load: ['--sockets', '10000', '--channels', '10000', '--mode', 'idle', '--lanes', '0', '--settle', '15'],
    figure: 'memoryPerSocket',
    servers: ['node-ws-send', 'relay'],
  },
];
