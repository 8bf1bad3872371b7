import { expect, test } from 'vitest';
import { Secret } from '#crds/keyring.ts';
import { createSmtpChannel } from '#operator/mail/smtp-channel.ts';
import { parseSmtpUrl } from '#operator/mail/smtp-server.ts';
import { MemoryChannel } from '#operator/notifications/memory-channel.ts';
import { createWebhookChannel } from '#operator/slack/webhook-channel.ts';
import { channelContract, LETTER, type ChannelUnderTest } from '#test/contracts/notification-channel.ts';
import { startSilentServer, startSmtpServer, type SmtpServerOptions } from '#test/parts/smtp.ts';
import { startSlackServer } from '#test/parts/slack.ts';

// Every channel against the same contract and against real servers, and what only mail or only a webhook can get wrong.

const FROM = 'relay@mail.example.com';
const forever = new AbortController().signal;
const login = { user: 'relay', password: 'hunter2' };
const messageId = (raw: string): string => /^Message-ID: <([0-9a-f]{32})@mail\.example\.com>\r$/im.exec(raw)?.[1] ?? '';
const URLS = {
  Implicit: (port: number) => `smtps://relay:hunter2@localhost:${port}`,
  StartTls: (port: number) => `smtp://relay:hunter2@localhost:${port}`,
  None: (port: number) => `smtp://relay:hunter2@localhost:${port}?starttls=never`,
};

async function smtp(options: SmtpServerOptions): Promise<ChannelUnderTest> {
  const server = await startSmtpServer(options);
  const channel = createSmtpChannel({
    server: parseSmtpUrl(URLS[options.tls](server.port)),
    from: FROM,
    ca: server.authority.cert,
  });
  return {
    channel,
    taken: () => server.mails.map(({ raw }) => messageId(raw)),
    behave: {
      take: () => server.behave({ kind: 'accept' }),
      refuse: () => server.behave({ kind: 'refuse', code: 550 }),
      notNow: () => server.behave({ kind: 'refuse', code: 451 }),
      hang: () => server.behave({ kind: 'hang' }),
      away: () => server.behave({ kind: 'close' }),
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

channelContract('SMTP with STARTTLS', () => smtp({ tls: 'StartTls', login }));
channelContract('SMTP over TLS', () => smtp({ tls: 'Implicit', login }));
channelContract('SMTP in plaintext on this machine', () => smtp({ tls: 'None', login }));
channelContract('a webhook', async () => {
  const receiver = await startSlackServer();
  return {
    channel: createWebhookChannel(new Secret(receiver.url)),
    taken: () => receiver.taken.map(({ id }) => id),
    behave: {
      take: () => receiver.behave({ kind: 'answer', status: 200 }),
      notNow: () => receiver.behave({ kind: 'answer', status: 503 }),
      hang: () => receiver.behave({ kind: 'hang' }),
      away: () => receiver.behave({ kind: 'close' }),
    },
    [Symbol.asyncDispose]: () => receiver[Symbol.asyncDispose](),
  };
});
channelContract('the one in memory', async () => {
  const channel = new MemoryChannel();
  const to = (behaviour: MemoryChannel['behaviour']) => (): void => void (channel.behaviour = behaviour);
  return {
    channel,
    taken: () => channel.taken.map(({ id }) => id),
    behave: { take: to('take'), refuse: to('refuse'), notNow: to('notNow'), hang: to('hang'), away: to('away') },
    [Symbol.asyncDispose]: async () => {},
  };
});

test('a mail is plain text, the same bytes each time, encrypted and with our name', async () => {
  await using server = await startSmtpServer({ tls: 'StartTls', login });
  const to = { server: parseSmtpUrl(URLS.StartTls(server.port)), from: FROM, ca: server.authority.cert };
  await createSmtpChannel(to).send(LETTER, forever);
  await createSmtpChannel(to).send(LETTER, forever);
  const [first, second] = server.mails;
  expect(first).toMatchObject({ from: FROM, to: ['platform@example.com'], secure: true, user: 'relay' });
  expect(second?.raw).toBe(first?.raw);
  await expect(first?.raw.replaceAll('\r\n', '\n')).toMatchFileSnapshot('testdata/mail.txt');
});

test.each([
  ['no STARTTLS', { tls: 'None', login }, true],
  ['a certificate of somebody else', { tls: 'StartTls', login }, false],
] as const)('a server with %s gets neither mail nor password', async (_why, options, known) => {
  await using server = await startSmtpServer(options);
  const ca = known ? server.authority.cert : undefined;
  const channel = createSmtpChannel({ server: parseSmtpUrl(URLS.StartTls(server.port)), from: FROM, ca });
  await expect(channel.send(LETTER, forever)).rejects.toMatchObject({ about: 'Server' });
  expect(server.mails).toEqual([]);
  expect(server.logins).toEqual([]);
});

test('a wrong password is about the server, and no error repeats it', async () => {
  await using server = await startSmtpServer({ tls: 'StartTls', login: { ...login, password: 'other' } });
  const ca = server.authority.cert;
  const channel = createSmtpChannel({ server: parseSmtpUrl(URLS.StartTls(server.port)), from: FROM, ca });
  await expect(channel.send(LETTER, forever)).rejects.toMatchObject({
    about: 'Server',
    message: 'EAUTH at AUTH PLAIN 535',
  });
  expect(server.logins).toEqual(['hunter2']);
});

test('what a server says of a letter is one line', async () => {
  await using server = await startSmtpServer({ tls: 'None' });
  const url = `smtp://localhost:${server.port}?starttls=never`;
  const channel = createSmtpChannel({ server: parseSmtpUrl(url), from: FROM, ca: undefined });
  server.behave({ kind: 'refuse', code: 550 });
  const error = await channel.send(LETTER, forever).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ about: 'Refused' });
  expect(String(error)).toMatch(/^DeliveryError: RCPT TO: 550[ -][\x20-\x7e]*not here[\x20-\x7e]*$/);
});

test('a subject and a recipient with line ends add neither headers nor recipients', async () => {
  await using server = await startSmtpServer({ tls: 'None' });
  const url = `smtp://localhost:${server.port}?starttls=never`;
  const channel = createSmtpChannel({ server: parseSmtpUrl(url), from: FROM, ca: undefined });
  const message = { ...LETTER.message, subject: 'a\r\nBcc: evil@example.com\r\n\r\nbody' };
  await channel.send({ ...LETTER, message }, forever);
  for (const recipient of [
    'a@example.com,evil@example.com',
    'a@example.com\r\nRCPT TO:<evil@example.com>',
    'a b@example.com',
  ])
    await channel.send({ ...LETTER, recipient }, forever).catch(() => {});
  expect(server.mails[0]?.raw).not.toMatch(/^Bcc:/im);
  for (const { to } of server.mails) expect(to).not.toContain('evil@example.com');
});

test('a server that says nothing is not waited for', async () => {
  await using server = await startSilentServer();
  const url = `smtp://localhost:${server.port}?starttls=never`;
  const channel = createSmtpChannel({ server: parseSmtpUrl(url), from: FROM, ca: undefined, patienceMs: 200 });
  await expect(channel.send(LETTER, forever)).rejects.toMatchObject({ about: 'Server', message: 'ETIMEDOUT at CONN' });
});

test('a webhook gets JSON with a text, follows no redirect, and its URL is in no error', async () => {
  await using receiver = await startSlackServer();
  const channel = createWebhookChannel(new Secret(receiver.url));
  await channel.send(LETTER, forever);
  expect(receiver.taken).toEqual([
    {
      path: '/services/T0/B0/hunter2',
      id: LETTER.id,
      type: 'application/json',
      body: {
        text: '*RelayToken shop/ci: the token expires*\nIt expires.\nLook:\n```kubectl describe relaytoken ci -n shop```\n_Sent by a test._',
      },
    },
  ]);
  receiver.behave({ kind: 'answer', status: 307, headers: { location: '/elsewhere' } });
  await expect(channel.send(LETTER, forever)).rejects.toMatchObject({ message: 'HTTP 307' });
  expect(receiver.paths).not.toContain('/elsewhere');
  receiver.behave({ kind: 'answer', status: 429, headers: { 'retry-after': '120' } });
  await expect(channel.send(LETTER, forever)).rejects.toMatchObject({ retryAfterMs: 120_000 });
  receiver.behave({ kind: 'close' });
  const error = await channel.send(LETTER, forever).catch((thrown: unknown) => thrown);
  expect(error instanceof Error && error.message).not.toContain('hunter2');
});
