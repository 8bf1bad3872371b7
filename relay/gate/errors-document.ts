import { writeFileSync } from 'node:fs';
import { refusals, securityFacts, type Refusal } from './refusals.ts';

/** docs/errors.md, made from refusals.ts; a test holds the file to it. Run this file to write it. */
export function errorsDocument(): string {
  const rows = Object.entries<Refusal>(refusals).map(
    ([code, { status, close, message }]) => `| \`${code}\` | ${status} | ${close ?? '–'} | ${message} |`,
  );
  const facts = [...securityFacts].map((code) => `\`${code}\``);
  return `# Errors of the relay

Made from \`relay/gate/refusals.ts\` by \`npx node relay/gate/errors-document.ts\`; do not edit.

An HTTP request that is refused gets the status and \`{"error":{"code":"…","message":"…"}}\`; the message may say more than the table.
Every response has \`X-Request-Id\`. A WebSocket that is refused, or closed because a rule changed, gets \`pusher:error\` with the close
code and then the close frame; – marks codes that no socket ever gets. Each refusal counts in \`relay_refusals_total{door,code}\`.

| code | status | close code | message |
|---|---|---|---|
${rows.join('\n')}

Who was kept out is told to the owners of the app: a line in the relay's log (\`somebody was kept out\`) and an entry of type \`refused\` in the
app's activity (the stream \`events\` in [Redis](redis.md#users)) with door, code and number, never an address. Each code at each door is told at
once, and then every ten minutes at each relay while it goes on. These are told:
${facts.join(', ')}.

Close codes from 4000 to 4099 mean do not come back, 4100 to 4199 back off, 4200 to 4299 reconnect at once. A connection that does not
answer a ping within 30 s is closed with 4201, or with 4202 if it came with protocol 4, which has no \`pusher:ping\` and is asked by a ping
frame of WebSocket; one whose sign-in fails with 4009. A client event over the connection's rate gets \`pusher:error\` 4301, a watchlist of
more than 100 users 4302 (the first 100 are watched), a failed subscription \`pusher:error\` with code
null and \`pusher:subscription_error\` for the channel, whose \`type\` is \`AuthError\`, \`InvalidChannel\`, \`InvalidChannelData\`, \`NotServed\`
(encrypted channels are off), \`LimitReached\` (\`limits.presenceMembers\` of the channel, or \`RELAY_MAX_SUBSCRIPTIONS\` of the connection,
1,000 by default, or more than 50 new subscriptions per second of it in the long run) or \`SecretFound\` ([secret scanning](secret-scanning.md) found something in \`user_info\`). A client event in which it
finds something gets \`pusher:error\` with code null, a sign-in is closed with 4009. All others of these leave the socket open.
`;
}

if (import.meta.main) writeFileSync(new URL('../../docs/errors.md', import.meta.url), errorsDocument());
