import { CONDITION, REASON } from '#crds/conditions.ts';
import { defaultedApp } from '#crds/relay-app.ts';
import { findCondition, type Caution } from '../reconcile/conditions.ts';
import type { AppSnapshot } from './snapshot.ts';

/** Where the part of a Warning's message begins that is about this; it is the last one. */
const BEGINNING = 'access.countries: ';
const REMEDY =
  'mount a database and name it in GEOIP_DATABASE of the relays (relay.geoipDatabase of the chart), or leave access.countries out';

/** Of an app with a rule about countries, while a relay cannot know any. While nothing is known of the relays, what was said stands. */
export function countryCautions({
  object,
  withoutDatabase: without,
}: Pick<AppSnapshot, 'object' | 'withoutDatabase'>): readonly Caution[] {
  const { countries } = defaultedApp(object.metadata.name, object.spec).access;
  if (countries === null || without?.relays === 'none') return [];
  if (without === undefined) return saidBefore(object);
  const rule = countries.mode === 'Allow' ? 'Allow lets nobody in' : 'Block keeps nobody out';
  const finding =
    without.relays === 'all'
      ? `no relay has a database of countries, so that ${rule}`
      : `these relays have no database of countries, so that ${rule} there: ${without.named}`;
  return [{ reason: REASON.GeoIpDatabaseMissing, message: `${BEGINNING}${finding}; ${REMEDY}` }];
}

function saidBefore({ status }: AppSnapshot['object']): readonly Caution[] {
  const { reason = '', message = '' } = findCondition(status?.conditions, CONDITION.Warning) ?? {};
  if (!reason.split(',').includes(REASON.GeoIpDatabaseMissing)) return [];
  return [{ reason: REASON.GeoIpDatabaseMissing, message: message.slice(message.lastIndexOf(BEGINNING)) }];
}
