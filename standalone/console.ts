import { Writable } from 'node:stream';
import { pino, type Logger } from 'pino';
import type { StandaloneConfig } from './config.ts';

/** What people are told; the log is for everything else. With JSON logs the same goes to the log, so that every line is JSON. */
export type Console = {
  readonly log: Logger;
  /** One fact, one short line. */
  say(line: string): void;
  /** Something is not right, and what to do about it. */
  warn(line: string): void;
};

export function createConsole({ logFormat, logLevel }: Pick<StandaloneConfig, 'logFormat' | 'logLevel'>): Console {
  if (logFormat === 'json') {
    const log = pino({ level: logLevel, base: null });
    return { log, say: (line) => log.info(line), warn: (line) => log.warn(line) };
  }
  // A terminal that was closed is no reason to end without stopping properly.
  process.stdout.on('error', () => {});
  const write = (line: string): void => void process.stdout.write(`${line}\n`);
  const lines = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      write(readable(chunk.toString('utf8')));
      done();
    },
  });
  return { log: pino({ level: logLevel, base: null }, lines), say: write, warn: write };
}

const LEVELS: Readonly<Record<number, string>> = pino.levels.labels;

/** `warn: PostgreSQL has ended (code=57P01)` */
function readable(json: string): string {
  const { level, time: _time, msg, err, error, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const causes = [err, error].filter((value) => value !== undefined).map(messageOf);
  const rest = Object.entries(fields).map(([key, value]) => `${key}=${messageOf(value)}`);
  const details = [...causes, ...rest].join(', ');
  return `${LEVELS[Number(level)] ?? 'log'}: ${messageOf(msg)}${details === '' ? '' : ` (${details})`}`;
}

function messageOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'object' && value !== null && 'message' in value) return String(value.message);
  return JSON.stringify(value) ?? '';
}
