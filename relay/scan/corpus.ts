import type { DetectorName } from '#crds/secret-scanning.ts';

/**
 * Made-up texts, one detector each: with what it must find, or a look-alike that it must leave alone. Credentials are put together from
 * parts, so that no line of this file has the shape of one: whoever hosts this repository scans it, too.
 */
export type CorpusLine = {
  readonly detector: DetectorName;
  readonly name: string;
  readonly text: string;
  /** What must be found, exactly; undefined: nothing. */
  readonly secret?: string;
};

const hit = (detector: DetectorName, name: string, secret: string, frame = 'x %s y'): CorpusLine => ({
  detector,
  name,
  text: frame.replace('%s', () => secret),
  secret,
});
const miss = (detector: DetectorName, name: string, text: string): CorpusLine => ({ detector, name, text });

const join = (...parts: readonly string[]): string => parts.join('');
const base64url = (text: string): string => Buffer.from(text).toString('base64url');
const aws = join('AKIA', 'Q7EXAMPLE', 'SCANTEST'.slice(0, 7));
const stripe = join('sk_', 'live_', '4eC39HqLyjWDarjtT1zd');
const jwtHeader = base64url('{"alg":"HS256","typ":"JWT"}');
const jwtToken = [jwtHeader, base64url('{"sub":"1"}'), 'c2lnbmF0dXJl'].join('.');
const pem = (label: string): string => join('-----BEGIN ', label, '-----\nMIIEvQ\n-----END ', label, '-----');
// Of the format's description, with its checksum; never a living token.
const github = join('ghp_', 'zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ', '0mLq17');
const fineGrained = join('github_', 'pat_', 'A'.repeat(22), '_', 'b'.repeat(59));
const relay = join('rly_', 'live_', '0000000000', '0'.repeat(32), '%crc');

export const corpus: readonly CorpusLine[] = [
  hit('awsKey', 'an access key id', aws),
  hit('awsKey', 'in a configuration', aws, 'aws_access_key_id=%s\n'),
  hit('awsKey', 'of a session', join('ASIA', 'Q7EXAMPLE', 'SCANTES'), '"%s"'),
  miss('awsKey', 'too short', 'AKIAQ7EXAMPLE'),
  miss('awsKey', 'in a longer word', `X${aws}`),
  miss('awsKey', 'longer', `${aws}X`),
  miss('awsKey', 'not base32', aws.replace('7', '1')),
  miss('awsKey', 'lower case', aws.toLowerCase()),

  hit('githubToken', 'a personal token', github),
  hit('githubToken', 'in a URL', github, 'https://%s@example.com'),
  hit('githubToken', 'a fine-grained token', fineGrained),
  miss('githubToken', 'a wrong checksum', `${github.slice(0, -1)}8`),
  miss('githubToken', 'another letter', github.replace('ghp', 'ghz')),
  miss('githubToken', 'in a longer word', `x${github}`),
  miss('githubToken', 'longer', `${github}0`),
  miss('githubToken', 'words about it', 'set github_pat_ or ghp_ tokens'),

  hit('stripeKey', 'a live key', stripe),
  hit('stripeKey', 'a restricted test key', join('rk_', 'test_', '4eC39HqLyjWDarjtT1zd'), '{"k":"%s"}'),
  hit('stripeKey', 'a webhook secret', join('whsec_', '4eC39HqLyjWDarjtT1zd')),
  miss('stripeKey', 'a publishable key', stripe.replace('sk_', 'pk_')),
  miss('stripeKey', 'a name', 'task_live_update and sk_live_short'),
  miss('stripeKey', 'part of a word', `de${stripe}`),

  hit('jwt', 'a token', jwtToken),
  hit('jwt', 'after Bearer', jwtToken, 'Bearer %s'),
  hit('jwt', 'without a signature', `${jwtHeader}.${base64url('{"a":1}')}.`, '"%s"'),
  miss('jwt', 'two parts', `${jwtHeader}.${base64url('{"a":1}')}`),
  miss('jwt', 'a header without alg', [base64url('{"typ":"x"}'), 'e30', 'x'].join('.')),
  miss('jwt', 'a file name', 'eyJzb21l.photo.png'),
  miss('jwt', 'base64 of JSON', base64url('{"hello":"world"}')),

  hit('cardNumber', 'sixteen digits', '4111111111111111'),
  hit('cardNumber', 'groups with spaces', '5555 5555 5555 4444'),
  hit('cardNumber', 'groups with hyphens', '3782-822463-10005'),
  hit('cardNumber', 'before its date', '6011 1111 1111 1117', 'card %s 12-27'),
  hit('cardNumber', 'before its code', '4111 1111 1111 1111', '%s 123'),
  miss('cardNumber', 'a wrong check digit', '4111111111111112'),
  miss('cardNumber', 'a time in milliseconds', '1763841600000'),
  miss('cardNumber', 'no issuer', '9999999999999995'),
  miss('cardNumber', 'a longer number', '41111111111111110000000'),
  miss('cardNumber', 'a uuid', '00000000-0000-4000-8000-000000000000'),

  hit('ssn', 'with hyphens', '219-09-9999'),
  hit('ssn', 'with spaces', '219 09 9999'),
  hit('ssn', 'at the end of a sentence', '219-09-9999', 'It is %s.'),
  miss('ssn', 'area 000', '000-12-3456'),
  miss('ssn', 'area 666', '666-12-3456'),
  miss('ssn', 'area 900', '900-12-3456'),
  miss('ssn', 'group 00', '219-00-9999'),
  miss('ssn', 'serial 0000', '219-09-0000'),
  miss('ssn', 'mixed separators', '219-09 9999'),
  miss('ssn', 'nine digits', '219099999'),
  miss('ssn', 'part of an order number', 'AB-219-09-9999'),
  miss('ssn', 'a longer number', '219-09-99991'),
  miss('ssn', 'a date', '2026-11-22'),

  hit('email', 'an address', 'ada@example.com'),
  hit('email', 'with a tag and a subdomain', 'ada.b+tag@mail.example.co.uk', '<%s>'),
  hit('email', 'at the end of a sentence', 'ada@example.com', 'Write to %s.'),
  hit('email', 'after a dot', 'ada@example.com', 'x: .%s'),
  miss('email', 'a mention', 'hello @ada and ada@'),
  miss('email', 'no top-level domain', 'root@localhost'),
  miss('email', 'a package', 'pusher-js@8.6.0'),
  miss('email', 'an empty label', 'a@b..com'),
  miss('email', 'a decorator', '@Component.foo'),

  hit('privateKey', 'PKCS #8', pem(join('PRIVATE', ' KEY'))),
  hit('privateKey', 'RSA', pem(join('RSA PRIVATE', ' KEY'))),
  hit('privateKey', 'OpenSSH', pem(join('OPENSSH PRIVATE', ' KEY'))),
  {
    detector: 'privateKey',
    name: 'cut off',
    text: join('-----BEGIN EC PRIVATE', ' KEY-----\nMHc'),
    secret: join('-----BEGIN EC PRIVATE', ' KEY-----\nMHc'),
  },
  miss('privateKey', 'a certificate', pem('CERTIFICATE')),
  miss('privateKey', 'a public key', pem('PUBLIC KEY')),
  miss('privateKey', 'words about it', 'a PRIVATE KEY begins with dashes'),

  hit('bearerToken', 'a header', 'mF_9.B5f-4.1JqMzzzzz', 'Authorization: Bearer %s'),
  hit('bearerToken', 'lower case', 'abcdef0123456789abcdef', 'bearer %s'),
  miss('bearerToken', 'a word', 'the bearer responsibilities'),
  miss('bearerToken', 'short', 'Bearer abc123'),
  miss('bearerToken', 'part of a word', 'forbearer abcdef0123456789abcdef'),

  hit('relayToken', 'a live token', relay.replace('%crc', checksumOf(relay.replace('%crc', '')))),
  hit('relayToken', 'in JSON', relay.replace('%crc', checksumOf(relay.replace('%crc', ''))), '{"t":"%s"}'),
  miss('relayToken', 'a wrong checksum', relay.replace('%crc', 'zzzzzz')),
  miss('relayToken', 'words about it', 'tokens begin with rly_live_ or rly_test_'),
];

/** CRC-32 in base62, as crds/token-format.ts says; written out here so that the corpus does not depend on what it tests. */
function checksumOf(body: string): string {
  let crc = 0xffffffff;
  for (const byte of Buffer.from(body)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  let value = (crc ^ 0xffffffff) >>> 0;
  let text = '';
  for (let at = 0; at < 6; at += 1) {
    text = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'.charAt(value % 62) + text;
    value = Math.floor(value / 62);
  }
  return text;
}
