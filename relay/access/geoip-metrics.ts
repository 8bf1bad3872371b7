import { Counter, Gauge, type Registry } from 'prom-client';

export type GeoipMetrics = {
  readonly lookups: Readonly<Record<'known' | 'unknown' | 'noDatabase', Counter.Internal>>;
  readonly built: Gauge;
};

export function geoipMetrics(registry: Registry): GeoipMetrics {
  const registers = [registry];
  const lookups = new Counter({
    name: 'relay_geoip_lookups_total',
    help: 'Countries asked for by rules of apps. result="unknown": the database has no country for the address; "no_database": GEOIP_DATABASE is not set or was never readable.',
    labelNames: ['result'],
    registers,
  });
  return {
    lookups: {
      known: lookups.labels('known'),
      unknown: lookups.labels('unknown'),
      noDatabase: lookups.labels('no_database'),
    },
    built: new Gauge({
      name: 'relay_geoip_database_built_seconds',
      help: 'When the database of countries that is in use was made, as Unix time. 0: there is none.',
      aggregator: 'min',
      registers,
    }),
  };
}
