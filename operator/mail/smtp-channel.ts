import { createTransport } from 'nodemailer';
import { DeliveryError, type Channel, type Letter } from '../notifications/channel.ts';
import { plainText } from '../notifications/text.ts';
import type { SmtpServer } from './smtp-server.ts';

export type SmtpChannelOptions = {
  readonly server: SmtpServer;
  /** Of the envelope and the From line. */
  readonly from: string;
  /** PEM: the authorities that may vouch for the server. undefined: the system's. */
  readonly ca: string | undefined;
  /** A server that says nothing for that long is not there. delivery.ts ends what goes on for too long as a whole. Default 10 s. */
  readonly patienceMs?: number;
};

/** Mail by SMTP. A connection for each letter: they are few, and one that hangs is then nobody else's. */
export function createSmtpChannel({ server, from, ca, patienceMs = 10_000 }: SmtpChannelOptions): Channel {
  const { host, port, tls, login } = server;
  const transport = createTransport({
    host,
    port,
    secure: tls === 'Implicit',
    requireTLS: tls === 'StartTls',
    ignoreTLS: tls === 'None',
    ...(login === undefined ? {} : { auth: { user: login.user, pass: login.password.reveal() } }),
    tls: { rejectUnauthorized: true, minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca }) },
    dnsTimeout: patienceMs,
    connectionTimeout: patienceMs,
    greetingTimeout: patienceMs,
    socketTimeout: patienceMs,
    // Nothing that stands in a letter may make it read a file or a URL.
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  const domain = from.slice(from.lastIndexOf('@') + 1);
  return {
    send: async ({ id, date, recipient, message }: Letter, signal) => {
      try {
        await transport.sendMail({
          messageId: `<${id}@${domain}>`,
          date: new Date(date),
          // As objects they are taken as they are, and not as lists of addresses.
          from: { name: 'Relay operator', address: from },
          to: { name: '', address: recipient },
          subject: message.subject,
          text: plainText(message),
          // RFC 3834: nobody's automatic answer is of use.
          headers: { 'Auto-Submitted': 'auto-generated' },
          xMailer: false,
          signal,
        });
      } catch (error) {
        throw deliveryError(error);
      }
    },
  };
}

/** What nodemailer adds to an error. */
type SmtpError = Error & {
  readonly code?: string;
  readonly command?: string;
  readonly responseCode?: number;
  readonly response?: string;
};

/** Steps whose answer is about this letter, and not about whether we may send at all. */
const ABOUT_THE_LETTER = new Set(['MAIL FROM', 'RCPT TO', 'DATA']);
/** RFC 5321, 4.2.1: what was answered with 5yz is not to be repeated; but 503 is about the session, and 530 (RFC 4954) about who we are. */
const NOT_ABOUT_THE_LETTER = new Set([421, 503, 530]);

function deliveryError(error: unknown): DeliveryError {
  if (!(error instanceof Error)) return new DeliveryError('failed', { about: 'Server', cause: error });
  const { code = error.name, command = '', responseCode, response = '' }: SmtpError = error;
  if (responseCode !== undefined && ABOUT_THE_LETTER.has(command) && !NOT_ABOUT_THE_LETTER.has(responseCode)) {
    const about = responseCode >= 500 ? 'Refused' : 'Letter';
    return new DeliveryError(`${command}: ${oneLine(response)}`, { about, cause: error });
  }
  // Only the number: what a server answers to a login may repeat it.
  const said = responseCode === undefined ? '' : ` ${responseCode}`;
  const at = command === '' ? '' : ` at ${command}`;
  return new DeliveryError(`${code}${at}${said}`, { about: 'Server', cause: error });
}

function oneLine(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]+/g, ' ').slice(0, 200);
}
