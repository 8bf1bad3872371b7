import { Counter, Gauge, type Registry } from 'prom-client';

/** What the delivery of notifications says of itself in `/metrics`. Labels in lower case: channel mail or webhook. */
export type NotificationMetrics = {
  readonly total: Counter<'channel' | 'outcome'>;
  readonly waiting: Gauge<'channel'>;
};

export function createNotificationMetrics(register: Registry): NotificationMetrics {
  const registers = [register];
  return {
    total: new Counter({
      name: 'relay_operator_notifications_total',
      help: 'Attempts to tell somebody, by outcome: sent, failed (tried again later), given_up.',
      labelNames: ['channel', 'outcome'],
      registers,
    }),
    waiting: new Gauge({
      name: 'relay_operator_notifications_waiting',
      help: 'Notifications that were announced and are neither sent nor given up.',
      labelNames: ['channel'],
      registers,
    }),
  };
}
