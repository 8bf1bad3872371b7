import { z } from 'zod';
import { COUNTRY_CODES } from './country-codes.ts';

const BYTE = '(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
const IPV4 = String.raw`^(${BYTE}\.){3}${BYTE}(/(3[0-2]|[12]?[0-9]))?$`;
const WORD = '[0-9a-f]{1,4}';
// RFC 4291, 2.2, without a dotted end: an IPv4 address is written as one. Its cost counts 10,000 times in the API server's budget for a
// rule, so that the words around a `::` in the middle are counted outside of it. Whatever the case.
const IPV6 = `^((${WORD}:){7}${WORD}|(${WORD}:){1,7}:|:(:${WORD}){1,7}|(${WORD}:){1,6}(:${WORD}){1,6}|::)(/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))?$`;

const isIpRange = (text: string): boolean =>
  text.includes(':')
    ? new RegExp(IPV6, 'i').test(text) &&
      (text.split(':').length <= 8 || text.startsWith('::') || /::($|\/)/.test(text))
    : new RegExp(IPV4).test(text);
const IS_IP_RANGE = `self.contains(':') ? self.matches(${literal(`(?i)${IPV6}`)}) && (size(self.split(':')) <= 8 || self.startsWith('::') || self.endsWith('::') || self.contains('::/')) : self.matches(${literal(IPV4)})`;

const IP_RANGE =
  'must be an address such as 198.51.100.7 or "2001:db8::7", or a block such as 203.0.113.0/24 or "2001:db8::/32"';
/** Not CEL's own isIP and isCIDR: API servers before 1.31 do not take them. */
const ipRange = z
  .string()
  .max(43)
  .refine(isIpRange, IP_RANGE)
  .meta({ 'x-kubernetes-validations': [{ rule: IS_IP_RANGE, message: IP_RANGE }] });

const ORIGIN_FORM = String.raw`^(null|[a-z][a-z0-9+.-]*://((\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?)$`;
const ORIGIN =
  'must be an origin such as https://example.com, "https://*.example.com" or http://localhost:3000, without a path, or "null"';
const origin = z
  .string()
  .max(253)
  .refine((text) => new RegExp(ORIGIN_FORM, 'i').test(text), ORIGIN)
  .meta({
    'x-kubernetes-validations': [{ rule: `self.matches(${literal(`(?i)${ORIGIN_FORM}`)})`, message: ORIGIN }],
  });

const COUNTRY = 'must be an ISO 3166-1 code of two capital letters, such as DE, or GB for the United Kingdom';
const known: ReadonlySet<string> = new Set(COUNTRY_CODES);
const country = z
  .string()
  .max(2)
  .refine((code) => known.has(code), COUNTRY)
  .meta({
    'x-kubernetes-validations': [
      { rule: `self in [${COUNTRY_CODES.map((code) => `'${code}'`).join(',')}]`, message: COUNTRY },
    ],
  });

/** As a CEL string literal. */
function literal(pattern: string): string {
  return `'${pattern.replaceAll('\\', '\\\\')}'`;
}

/** A list that restricts: an empty one would shut everybody out, or be meant as none at all. */
function restriction<T extends z.ZodType>(item: T, max: number, message: string) {
  return z
    .array(item)
    .max(max)
    .refine((list) => list.length > 0, message)
    .meta({ 'x-kubernetes-validations': [{ rule: 'size(self) > 0', message }] });
}

/** `spec.access` of a RelayApp: who gets in, whatever credential they have. */
export const accessSpec = z.strictObject({
  ipAllowlist: restriction(
    ipRange,
    10_000,
    'name at least one address or block, or leave ipAllowlist out: then every address is let in',
  )
    .optional()
    .describe(
      'Addresses and blocks (CIDR) that requests and connections may come from; from elsewhere 403, and 4009 on sockets. Default: everywhere.',
    ),
  origins: restriction(
    origin,
    100,
    'name at least one origin, or leave origins out: then the pages of every site are let in',
  )
    .optional()
    .describe(
      'Web origins whose pages may connect, such as "https://*.example.com"; others get 403, and 4009 on sockets. What sends no Origin, such as native and server SDKs, is let in. Default: all.',
    ),
  countries: z
    .strictObject({
      mode: z
        .enum(['Allow', 'Block'])
        .describe(
          'Allow: only these countries, nor where it is unknown. Block: all but these, also where it is unknown.',
        ),
      codes: restriction(
        country,
        COUNTRY_CODES.length,
        'name at least one country, or leave countries out: then all are let in',
      ).describe('ISO 3166-1 alpha-2, such as DE.'),
    })
    .optional()
    .describe(
      'Countries that requests and connections may come from; from others 403, and 4009 on sockets. Needs the database of the installation (GEOIP_DATABASE). Default: all.',
    ),
  clientCertificates: z
    .strictObject({
      required: z
        .boolean()
        .describe('Refuse who comes without a valid certificate that a ClientCertificate of this app registers.'),
    })
    .optional()
    .describe('Mutual TLS; others get 403, and 4009 on sockets. Default: not required.'),
});
export type AccessSpec = z.infer<typeof accessSpec>;

/** null: no restriction. Lists are sorted, so that another order is no change. */
export type DefaultedAccess = {
  readonly ipAllowlist: readonly string[] | null;
  readonly origins: readonly string[] | null;
  readonly countries: { readonly mode: 'Allow' | 'Block'; readonly codes: readonly string[] } | null;
  /** Left out where they are not required, so that apps without the rule stay as they were published by earlier versions. */
  readonly clientCertificatesRequired?: true;
};

export function defaultedAccess(spec: AccessSpec | undefined): DefaultedAccess {
  const countries = spec?.countries;
  return {
    ipAllowlist: spec?.ipAllowlist?.toSorted() ?? null,
    origins: spec?.origins?.toSorted() ?? null,
    countries: countries === undefined ? null : { mode: countries.mode, codes: countries.codes.toSorted() },
    ...(spec?.clientCertificates?.required === true ? { clientCertificatesRequired: true } : {}),
  };
}
