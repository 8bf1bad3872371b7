import { appEnabled, appKnown } from './checks/app.ts';
import { bodySize } from './checks/body-size.ts';
import { ipAllowed } from './checks/client-address.ts';
import { clientCertificate } from './checks/client-certificate.ts';
import { connectionQuota } from './checks/connection-quota.ts';
import { countryAllowed } from './checks/country.ts';
import {
  bearerToken,
  bodyDigest,
  credentialPresent,
  keyActive,
  keyAndSecret,
  methodAllowed,
  requestSignature,
} from './checks/credential.ts';
import { headerDuplicated } from './checks/header-duplicated.ts';
import { originAllowed } from './checks/origin.ts';
import { protocolVersion } from './checks/protocol-version.ts';
import { rateLimit } from './checks/rate-limit.ts';
import { tokenScope } from './checks/scope.ts';
import { relayTokenAccepted } from './checks/relay-token.ts';
import { serving } from './checks/serving.ts';
import { tlsRequired } from './checks/tls-required.ts';
import type { Check, Stage } from './check.ts';
import type { RefusalCode } from './refusals.ts';
import type { Door, Visit } from './visit.ts';

/**
 * The one ordered list that every door goes through. The order is part of the contract: what is refused first hides what would be
 * refused later, so rules about the relay come before rules about the app, and those before anything that a guesser could learn from.
 *
 * A new access rule is: a code in refusals.ts (and docs/errors.md), a file in checks/, a row here, and, if it looks at something new,
 * a fact in visit.ts. Every door that the row names enforces it then, sockets that are already open included (`live`).
 */
export const gate: readonly Check[] = [
  serving,
  tlsRequired,
  headerDuplicated,
  protocolVersion,
  appKnown,
  appEnabled,
  ipAllowed,
  countryAllowed,
  originAllowed,
  clientCertificate,
  credentialPresent,
  methodAllowed,
  keyActive,
  bearerToken,
  relayTokenAccepted,
  keyAndSecret,
  requestSignature,
  tokenScope,
  bodySize,
  // From here on the visit is complete: its body was read.
  bodyDigest,
  // From here on it is counted: it has spent of a budget, or claimed a place.
  rateLimit,
  connectionQuota,
];

const rowsOf = (door: Door): Readonly<Record<Stage, readonly Check[]>> => ({
  arrival: gate.filter(({ doors, stage }) => doors.includes(door) && stage === 'arrival'),
  complete: gate.filter(({ doors, stage }) => doors.includes(door) && stage === 'complete'),
  counted: gate.filter(({ doors, stage }) => doors.includes(door) && stage === 'counted'),
});
const rows: Readonly<Record<Door, Readonly<Record<Stage, readonly Check[]>>>> = {
  http: rowsOf('http'),
  websocket: rowsOf('websocket'),
  live: rowsOf('live'),
};

/** The first refusal of a stage, or undefined when every check of it passes. */
export function firstRefusal(visit: Visit, stage: Stage): RefusalCode | undefined {
  for (const row of rows[visit.door][stage]) {
    const refusal = row.refusal(visit);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}
