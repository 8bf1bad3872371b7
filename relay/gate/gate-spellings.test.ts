import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatIpAddress, parseIpAddress, type IpAddress } from '../access/ip-address.ts';
import { IpRanges } from '../access/ip-ranges.ts';
import { originOf, Origins } from '../access/origins.ts';
import { presentedCredential } from '../auth/presented-credential.ts';
import type { Stage } from './check.ts';
import { firstRefusal } from './gate.ts';
import type { RefusalCode } from './refusals.ts';
import { app, http, minted, token } from '#test/parts/sample-visits.ts';
import type { Visit } from './visit.ts';

// However an address, an origin or a token is spelled, it is that one or none.

const STAGES: readonly Stage[] = ['arrival', 'complete', 'counted'];
const refusal = (visit: Visit): RefusalCode | undefined =>
  STAGES.map((stage) => firstRefusal(visit, stage)).find((code) => code !== undefined);

describe('spellings', () => {
  const address = fc.tuple(
    ...([0, 0, 0, 0, 0, 0, 0, 0] as const).map(() => fc.constantFrom(0, 1, 0xff, 0xffff, 0x2001, 0xc0a8)),
  );
  const word = (high: number, low: number): number => ((high << 16) | low) >>> 0;
  const ipOf = ([a, b, c, d, e, f, g, h]: number[]): IpAddress => [
    word(a ?? 0, b ?? 0),
    word(c ?? 0, d ?? 0),
    word(e ?? 0, f ?? 0),
    word(g ?? 0, h ?? 0),
  ];
  /** One way to write it (RFC 4291, 2.2): groups of one to four digits in any case, one run of zeros left out, the last 32 bits with dots. */
  const spelled = fc
    .tuple(address, fc.integer({ min: 1, max: 4 }), fc.boolean(), fc.boolean(), fc.nat({ max: 7 }), fc.nat({ max: 8 }))
    .map(([groups, width, upper, dotted, from, length]) => {
      const hex = groups.map((group) => group.toString(16).padStart(width, '0'));
      const [high = 0, low = 0] = groups.slice(6);
      const tail = dotted ? [`${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`] : hex.slice(6);
      const parts = [...hex.slice(0, 6), ...tail];
      const zeros = groups.slice(from, from + length);
      const cut = zeros.length > 1 && from + length <= 6 && zeros.every((group) => group === 0);
      const text = cut ? `${parts.slice(0, from).join(':')}::${parts.slice(from + length).join(':')}` : parts.join(':');
      return { ip: ipOf(groups), text: upper ? text.toUpperCase() : text };
    });

  test('of an address are the same address, to the list and to each other', () => {
    fc.assert(
      fc.property(spelled, fc.integer({ min: 0, max: 128 }), ({ ip, text }, prefix) => {
        expect(parseIpAddress(text)).toEqual(ip);
        expect(parseIpAddress(formatIpAddress(ip))).toEqual(ip);
        const visit = http({
          app: app({ access: { ...app().access, ipAllowlist: new IpRanges([{ address: ip, prefix }]) } }),
          address: parseIpAddress(text),
        });
        expect(refusal(visit)).toBeUndefined();
      }),
      { numRuns: 2_000 },
    );
  });

  test('that only resemble an address are none, and on no list', () => {
    const everybody = app({
      access: { ...app().access, ipAllowlist: new IpRanges([{ address: [0, 0, 0, 0], prefix: 0 }]) },
    });
    const trick = fc.constantFrom<(text: string) => string>(
      (text) => `${text}%eth0`,
      (text) => `${text}%25eth0`,
      (text) => `[${text}]`,
      (text) => ` ${text}`,
      (text) => `${text}\u00a0`,
      (text) => `${text}:80`.replace(/^([^:]*)$/, '$1x'),
      (text) => text.replace(':', '\uff1a'),
      (text) => text.replace(/[0-9]/, (digit) => String.fromCharCode(0xff10 + Number(digit))),
      (text) => `${text}/128`,
      (text) => `${text},`,
      (text) => `0${text.replaceAll(':', '.')}`,
      (text) => text.replace(':', '::').replace(/:([^:]*)$/, '::$1'),
    );
    fc.assert(
      fc.property(spelled, trick, ({ text }, change) => {
        const written = change(text);
        if (/^[0-9a-f:.]+$/i.test(written)) return; // Still an address, or not: the property above says.
        expect(parseIpAddress(written)).toBeUndefined();
        expect(refusal(http({ app: everybody, address: parseIpAddress(written) }))).toBe('ip_not_allowed');
      }),
      { numRuns: 2_000 },
    );
  });

  test('of an origin: what is let in is, to a browser, exactly one that is listed', () => {
    const own = new Origins(['https://example.com', 'https://*.shop.example.com', 'http://localhost:3000']);
    const piece = fc.oneof(
      fc.constantFrom(
        'https',
        'HTTPS',
        'http',
        '://',
        ':',
        '//',
        'example',
        '.com',
        '.COM',
        'shop.',
        'localhost',
        ':443',
        ':0443',
      ),
      fc.constantFrom(
        ':3000',
        '@',
        '/',
        '\\',
        '#',
        '?',
        '%2e',
        '\t',
        '\n',
        '\0',
        ' ',
        '.',
        '\u3002',
        '\u212a',
        '\uff45',
        '\u0435',
        '\u00ad',
        '\u200b',
        'xn--',
      ),
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join('')),
          fc
            .tuple(
              fc.constantFrom('https://example.com', 'https://a.shop.example.com', 'http://localhost:3000'),
              fc.nat(24),
              piece,
            )
            .map(([text, at, added]) => text.slice(0, at) + added + text.slice(at)),
        ),
        (header) => {
          const visit = http({ app: app({ access: { ...app().access, origins: own } }), origin: originOf(header) });
          if (refusal(visit) !== undefined) return;
          const { origin } = new URL(header);
          expect(origin).toMatch(
            /^(https:\/\/example\.com|https:\/\/[a-z0-9.-]+\.shop\.example\.com|http:\/\/localhost:3000)$/,
          );
          // Its own spelling, and not one that a browser would make of it.
          expect(header).toMatch(/^[\u0021-\u007e]+$/);
        },
      ),
      { numRuns: 5_000 },
    );
  });

  test('of a credential: a header near a token is that token or none', () => {
    const space = fc.constantFrom('', ' ', '  ', '\t', '\u00a0', '\u2003', '\r\n ', ',', ';');
    const scheme = fc.constantFrom('Bearer', 'bearer', 'BEARER', 'Bearer Bearer', 'Be\u0430rer', 'Token', 'Basic', '');
    const text = fc.constantFrom<(value: string) => string>(
      (value) => value,
      (value) => value.toUpperCase(),
      (value) => value.toLowerCase(),
      (value) => `"${value}"`,
      (value) => value.slice(0, -1),
      (value) => `${value}0`,
      (value) => value.replace('l', '\uff4c'),
      (value) => `${value}, ${value}`,
      (value) => encodeURIComponent(`${value}\n`),
    );
    fc.assert(
      fc.property(space, scheme, space, text, space, (before, name, between, change, after) => {
        const authorization = `${before}${name}${between}${change(minted.token)}${after}`;
        const credential = presentedCredential({ authorization, relayKey: undefined, relaySecret: undefined }, []);
        const found = credential.method === 'bearer' && credential.sha256 === minted.sha256;
        const admitted = refusal(http({ credential, token: found ? token() : undefined })) === undefined;
        expect(admitted).toBe(found);
        if (found) expect(authorization).toMatch(new RegExp(String.raw`^\s*bearer +${minted.token}\s*$`, 'i'));
      }),
      { numRuns: 3_000 },
    );
  });
});
