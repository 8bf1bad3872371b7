import { pino } from 'pino';
import { Registry as MetricsRegistry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Secret } from '#crds/keyring.ts';
import { systemClock, type Clock } from '#operator/engine/clock.ts';
import { createSmtpChannel } from '#operator/mail/smtp-channel.ts';
import { parseSmtpUrl } from '#operator/mail/smtp-server.ts';
import type { Channel } from '#operator/notifications/channel.ts';
import { deliver } from '#operator/notifications/delivery.ts';
import { createNotificationMetrics } from '#operator/notifications/metrics.ts';
import type { Occasion } from '#operator/notifications/occasion.ts';
import type { ChannelName, Notification, NotificationQueue } from '#operator/notifications/queue.ts';
import { createNotificationQueue } from '#operator/postgres/notification-queue.ts';
import { createWebhookChannel } from '#operator/slack/webhook-channel.ts';
import { eventually } from '#test/parts/eventually.ts';
import { freePort } from '#test/parts/free-port.ts';
import { startSmtpServer, type TestSmtpServer } from '#test/parts/smtp.ts';
import { startSlackServer, type SlackServer } from '#test/parts/slack.ts';
import { registryDatabase, type Leader, type RegistryDatabase } from '#test/parts/registry-database.ts';

// From the registry to a real SMTP server and a real webhook: once, and whatever happens to any of them.
// Long, because it is one set of parts: PostgreSQL, two servers, and operators that come and go.

const BOTH = { mail: true, webhook: true };
const MAIL = { mail: true, webhook: false };
const HOUR = 3_600_000;

/** Wall time moves when told to; pauses are short. */
class SkippingClock implements Clock {
  #skipped = 0;
  readonly #start = Date.parse('2027-02-22T12:00:00Z') - Date.now();
  now = (): number => Date.now() + this.#start + this.#skipped;
  monotonic = (): number => performance.now() + this.#skipped;
  sleep = (ms: number, signal?: AbortSignal): Promise<void> => systemClock.sleep(Math.min(ms, 20), signal);
  skip(ms: number): void {
    this.#skipped += ms;
  }
}

const occasion = (name: string): Occasion => ({
  kind: 'RelayApp',
  namespace: 'shop',
  name,
  appId: '480192',
  credentialId: 'k1',
  secretName: `${name}-relay`,
  what: 'DiedInUse',
  why: 'Deadline',
  at: Date.parse('2027-02-22T12:00:00Z'),
  use: { lastUsedAt: Date.parse('2027-02-22T11:00:00Z'), requests: 7, client: 'pusher-http-node 5.3.4' },
});
const messageId = (raw: string): string => /^Message-ID: (<.*>)\r$/im.exec(raw)?.[1] ?? '';

describe('delivery', () => {
  let stack: AsyncDisposableStack;
  let database: RegistryDatabase;
  let smtp: TestSmtpServer;
  let webhook: SlackServer;
  let clock: SkippingClock;
  let givenUp: { readonly notification: Notification; readonly error: string }[];

  beforeEach(async () => {
    stack = new AsyncDisposableStack();
    database = stack.use(await registryDatabase());
    smtp = stack.use(await startSmtpServer({ tls: 'StartTls' }));
    webhook = stack.use(await startSlackServer());
    clock = new SkippingClock();
    givenUp = [];
  });
  afterEach(() => stack.disposeAsync());

  const mailTo = ({ port, authority }: TestSmtpServer): Channel =>
    createSmtpChannel({
      server: parseSmtpUrl(`smtp://localhost:${port}`),
      from: 'relay@example.com',
      ca: authority.cert,
    });
  const both = (): ReadonlyMap<ChannelName, Channel> =>
    new Map<ChannelName, Channel>([
      ['Mail', mailTo(smtp)],
      ['Webhook', createWebhookChannel(new Secret(webhook.url))],
    ]);
  const queueOf = ({ term }: Leader): NotificationQueue =>
    createNotificationQueue({ pool: database.pool, installation: database.rings.installation, term: () => term });
  const lead = (channels = BOTH): Promise<Leader> => database.lead({ channels, now: clock.now });

  /** The delivery of one operator; `stop` ends it and waits for that. */
  const run = (
    queue: NotificationQueue,
    channels: ReadonlyMap<ChannelName, Channel> = both(),
  ): { readonly metrics: MetricsRegistry; readonly stop: () => Promise<void> } => {
    const metrics = new MetricsRegistry();
    const ending = new AbortController();
    const running = deliver(
      {
        queue,
        channels,
        sender: { installation: database.rings.installation, relayUrl: 'https://relay.example.com' },
        clock,
        log: pino({ level: 'silent' }),
        metrics: createNotificationMetrics(metrics),
        onGivenUp: (notification, error) => void givenUp.push({ notification, error }),
      },
      ending.signal,
    );
    const stop = async (): Promise<void> => {
      ending.abort();
      await running;
    };
    stack.defer(stop);
    return { metrics, stop };
  };
  const rows = async (): Promise<Record<string, unknown>[]> =>
    (
      await database.pool.query<Record<string, unknown>>(
        `SELECT channel, recipient, attempts, sent_at IS NOT NULL AS sent, given_up_at IS NOT NULL AS "givenUp", last_error AS error
           FROM notification ORDER BY occasion, channel, recipient`,
      )
    ).rows;
  const allSent = async (): Promise<boolean> => (await rows()).every(({ sent }) => sent === true);
  const recipients = (): string[] => smtp.mails.flatMap(({ to }) => to).toSorted();

  test('each message is sent once, by however many operators at once, of which one was deposed', async () => {
    const deposed = await lead();
    const leader = await lead();
    const names = Array.from({ length: 12 }, (_, index) => `app-${index}`);
    for (const name of names) await leader.registry.announce({ occasion: occasion(name), to: [`${name}@example.com`] });
    const operators = [run(queueOf(deposed)), run(queueOf(leader)), run(queueOf(leader))];
    await eventually(allSent, { timeout: 30_000 });
    for (const { stop } of operators) await stop();
    expect(recipients()).toEqual(names.map((name) => `${name}@example.com`).toSorted());
    expect(webhook.taken).toHaveLength(names.length);
    expect(new Set(webhook.taken.map(({ id }) => id)).size).toBe(names.length);
    expect((await rows()).map(({ attempts }) => attempts)).toEqual(Array.from({ length: 24 }, () => 1));
    // Its lines are broken for the way (quoted-printable, RFC 2045, 6.7).
    expect(smtp.mails[0]?.raw.replaceAll('=\r\n', '')).toContain('kubectl rollout restart deployment/NAME -n shop');
  });

  test('an operator that was deposed sends nothing', async () => {
    const deposed = await lead();
    await deposed.registry.announce({ occasion: occasion('checkout'), to: ['a@example.com'] });
    const leader = await lead();
    const { stop } = run(queueOf(deposed));
    expect(await queueOf(deposed).claim('Mail', { limit: 10, now: clock.now(), until: clock.now() + 1 })).toEqual([]);
    await stop();
    expect((await rows()).map(({ attempts }) => attempts)).toEqual([0, 0]);
    run(queueOf(leader));
    await eventually(allSent);
    expect(recipients()).toEqual(['a@example.com']);
  });

  test('what one operator is just taking up another one passes over', async () => {
    const leader = await lead(MAIL);
    await leader.registry.announce({ occasion: occasion('checkout'), to: ['a@example.com', 'b@example.com'] });
    const other = await database.pool.connect();
    try {
      await other.query('BEGIN');
      await other.query(`SELECT FROM notification WHERE recipient = 'a@example.com' FOR UPDATE`);
      const now = clock.now();
      const claimed = await queueOf(leader).claim('Mail', { limit: 10, now, until: now + 1 });
      expect(claimed.map(({ recipient }) => recipient)).toEqual(['b@example.com']);
    } finally {
      await other.query('ROLLBACK');
      other.release();
    }
  });

  test('while the server is down nothing is lost, and nothing is sent twice', async () => {
    const leader = await lead(MAIL);
    const port = await freePort();
    const authority = smtp.authority;
    const channel = mailTo({ ...smtp, port, authority });
    await leader.registry.announce({ occasion: occasion('checkout'), to: ['a@example.com'] });
    run(queueOf(leader), new Map<ChannelName, Channel>([['Mail', channel]]));
    await eventually(async () => {
      expect(await rows()).toMatchObject([{ attempts: 1, sent: false, givenUp: false, error: 'ESOCKET at CONN' }]);
      return true;
    });
    await using back = await startSmtpServer({ tls: 'StartTls', port, authority });
    clock.skip(HOUR);
    await eventually(allSent);
    expect(back.mails.map(({ to }) => to)).toEqual([['a@example.com']]);
  });

  test('a crash between the OK of the server and the mark repeats the very same mail', async () => {
    const leader = await lead(MAIL);
    await leader.registry.announce({ occasion: occasion('checkout'), to: ['a@example.com'] });
    const queue = queueOf(leader);
    const crashed = run({ ...queue, sent: () => Promise.reject(new Error('killed')) });
    await eventually(() => smtp.mails.length === 1);
    await crashed.stop();
    const next = run(queueOf(await lead(MAIL)));
    // Whoever took it up may still be sending it.
    expect(await queue.claim('Mail', { limit: 10, now: clock.now(), until: clock.now() + 1 })).toEqual([]);
    clock.skip(2 * 60_000);
    await eventually(allSent);
    await next.stop();
    const [first, second] = smtp.mails.map(({ raw }) => raw);
    expect(smtp.mails).toHaveLength(2);
    expect(messageId(first ?? '')).toMatch(/^<[0-9a-f]{32}@example\.com>$/);
    expect(second).toBe(first);
  });

  test('a recipient whose mail hangs keeps nobody else waiting', async () => {
    const leader = await lead();
    smtp.behave({ kind: 'hang' }, 'slow@example.com');
    const others = Array.from({ length: 9 }, (_, index) => `other-${index}@example.com`);
    await leader.registry.announce({ occasion: occasion('slow'), to: ['slow@example.com'] });
    run(queueOf(leader));
    await leader.registry.announce({ occasion: occasion('other'), to: others });
    await eventually(() => smtp.mails.length === others.length && webhook.taken.length === 2);
    expect(recipients()).toEqual(others);
    // The server's OK comes before the mark.
    await eventually(async () => {
      const waiting = (await rows()).filter(({ sent }) => sent !== true);
      expect(waiting).toMatchObject([{ recipient: 'slow@example.com', attempts: 1, givenUp: false }]);
      return true;
    });
  });

  test('a mail server that hangs altogether keeps neither the webhook nor the registry waiting', async () => {
    const leader = await lead();
    smtp.behave({ kind: 'hang' });
    const to = Array.from({ length: 9 }, (_, index) => `other-${index}@example.com`);
    run(queueOf(leader));
    for (const name of ['a', 'b', 'c']) await leader.registry.announce({ occasion: occasion(name), to });
    await eventually(() => webhook.taken.length === 3);
    expect(smtp.mails).toEqual([]);
  });

  test('what a server refuses for good is given up at once, and said', async () => {
    const leader = await lead(MAIL);
    smtp.behave({ kind: 'refuse', code: 550 }, 'gone@example.com');
    await leader.registry.announce({ occasion: occasion('checkout'), to: ['gone@example.com', 'here@example.com'] });
    const { metrics } = run(queueOf(leader));
    await eventually(() => givenUp.length === 1 && smtp.mails.length === 1);
    expect(givenUp).toMatchObject([
      { notification: { recipient: 'gone@example.com', attempts: 1 }, error: expect.stringContaining('550') },
    ]);
    await eventually(async () => {
      expect(await rows()).toMatchObject([
        { recipient: 'gone@example.com', givenUp: true, error: expect.stringContaining('RCPT TO: 550') },
        { recipient: 'here@example.com', sent: true },
      ]);
      return true;
    });
    const text = await metrics.metrics();
    expect(text).toContain('relay_operator_notifications_total{channel="mail",outcome="given_up"} 1');
    expect(text).toContain('relay_operator_notifications_total{channel="mail",outcome="sent"} 1');
  });

  test('what is refused for now is tried again for three days, then given up', async () => {
    const leader = await lead(MAIL);
    smtp.behave({ kind: 'refuse', code: 451 });
    await leader.registry.announce({ occasion: occasion('checkout'), to: ['a@example.com'] });
    const { metrics } = run(queueOf(leader));
    const failed = (times: number): Promise<unknown> =>
      eventually(async () => (await metrics.metrics()).includes(`{channel="mail",outcome="failed"} ${times}\n`));
    await failed(1);
    clock.skip(HOUR);
    await failed(2);
    expect(givenUp).toEqual([]);
    clock.skip(71 * HOUR);
    await eventually(() => givenUp.length === 1);
    expect(await rows()).toMatchObject([{ attempts: 3, sent: false, givenUp: true }]);
  });

  test('a channel that is no longer configured keeps nothing back', async () => {
    const leader = await lead();
    await leader.registry.announce({ occasion: occasion('checkout'), to: ['a@example.com'] });
    run(queueOf(leader), new Map());
    await eventually(async () => {
      expect(await rows()).toMatchObject([
        { channel: 'Mail', attempts: 0, givenUp: true, error: 'MailNotConfigured' },
        { channel: 'Webhook', attempts: 0, givenUp: true, error: 'WebhookNotConfigured' },
      ]);
      return true;
    });
  });

  test('an occasion that this version does not know waits for one that does', async () => {
    const leader = await lead(MAIL);
    await leader.registry.announce({ occasion: occasion('checkout'), to: ['a@example.com'] });
    await database.pool.query(`UPDATE occasion SET detail = '{"what": "Teleported"}'`);
    run(queueOf(leader));
    await eventually(async () => (await rows())[0]?.['error'] === 'announced by a newer version');
    expect(await rows()).toMatchObject([{ attempts: 1, sent: false, givenUp: false }]);
  });

  test('what was announced long ago is forgotten, but not what still waits', async () => {
    const leader = await lead(MAIL);
    const queue = queueOf(leader);
    for (const name of ['sent', 'waiting'])
      await leader.registry.announce({ occasion: occasion(name), to: ['a@example.com'] });
    const [first] = await queue.claim('Mail', { limit: 1, now: clock.now(), until: clock.now() + 1 });
    if (first === undefined) throw new Error('nothing was claimed');
    await queue.sent(first, clock.now());
    await queue.forget(clock.now());
    const { rows: left } = await database.pool.query('SELECT key FROM occasion');
    expect(left).toEqual([{ key: 'RelayApp/shop/waiting/DiedInUse/k1' }]);
    expect(await queue.waiting()).toEqual(new Map([['Mail', 1]]));
  });
});
