import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { lastElement } from './forwarded-client-cert.ts';

describe("Envoy's header", () => {
  const hashIn = (header: string): string | undefined => lastElement(header)?.hash;

  test.each([
    ['of several elements, the last one counts', 'Hash=forged,By=a;Hash=real', 'real'],
    ['also after a space', 'Hash=forged, By=a;Hash=real', 'real'],
    ['a comma in quotes parts nothing', 'Hash=real;Subject="CN=a,Hash=forged"', 'real'],
    ['nor does a semicolon', 'Subject="a;Hash=forged";Hash=real', 'real'],
    ['a quote that is escaped ends nothing', String.raw`Subject="a\",Hash=forged";Hash=real`, 'real'],
    ['a backslash that is escaped escapes nothing', String.raw`Subject="a\\";Hash=real`, 'real'],
    ['keys in any case', 'by=a;HASH=real', 'real'],
    ['a hash in quotes', 'Hash="real"', 'real'],
    ['a URI with an equals sign', 'Hash=real;URI=https://a?b=c', 'real'],
    ['several names', 'Hash=real;DNS=a;DNS=b;URI=c;URI=d', 'real'],
  ])('%s', (_, header, hash) => {
    expect(hashIn(header)).toBe(hash);
  });

  test.each([
    ['a quote that is open in an earlier element', 'Subject="a,By=b;Hash=real'],
    // The forger's quote would make the quotes of the subject close and open the other way round.
    ['quotes turned inside out', 'Hash=forged;Subject=",By=a;Hash=real;Subject="CN=b"'],
    ['the same, with a quote in the subject', String.raw`Hash=forged;Subject=",By=a;Hash=real;Subject="CN=\"b"`],
    ['quotes around half of a value', 'Hash="real"x'],
    ['a quote within a bare value', 'Hash=re"al'],
    ['a backslash within a bare value', 'Hash=real;URI=a\\'],
    ['two hashes', 'Hash=real;Hash=other'],
    ['two certificates', 'Hash=real;Cert=a;cert=b'],
    ['no value', 'Hash'],
    ['an empty element at the end', 'Hash=real,'],
    ['an empty pair at the end', 'Hash=real;'],
    ['nothing', ''],
  ])('%s refuses the header', (_, header) => {
    expect(lastElement(header)).toBeUndefined();
  });

  test('whatever a client sent before, what Envoy appends is what counts, or the header is refused', () => {
    const forged = fc.string({
      unit: fc.constantFrom('"', '\\', ',', ';', '=', 'Hash=forged', 'a', ' '),
      maxLength: 20,
    });
    const name = fc.string({ unit: fc.constantFrom('"', '\\', ',', ';', '=', 'Hash=forged', 'a', ' '), maxLength: 12 });
    fc.assert(
      fc.property(forged, name, (before, subject) => {
        const quoted = `CN=${subject}`.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
        const hash = hashIn(`${before},By=a;Hash=real;Subject="${quoted}"`);
        if (hash !== undefined) expect(hash).toBe('real');
      }),
      { numRuns: 5_000 },
    );
  });
});
