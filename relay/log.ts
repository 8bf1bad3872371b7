import { pino, type Logger } from 'pino';
import { loggedError } from '#crds/logged-error.ts';
import type { RelayConfig, WorkerConfig } from './config.ts';

/** JSON lines on standard output; each names the replica. */
export function relayLog(config: Pick<RelayConfig | WorkerConfig, 'LOG_LEVEL' | 'RELAY_ID'>): Logger {
  return pino({ level: config.LOG_LEVEL, base: { relay: config.RELAY_ID }, serializers: { err: loggedError } });
}
