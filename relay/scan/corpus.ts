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
const relayBody = join('rly_', 'live_', '0000000000', '0'.repeat(32));
const relay = relayBody + checksumOf(relayBody);
const relayTest = relayBody.replace('live', 'test');

export const corpus: readonly CorpusLine[] = [
  hit('awsKey', 'an access key id', aws),
  hit('awsKey', 'in a configuration', aws, 'aws_access_key_id=%s\n'),
  hit('awsKey', 'of a session', join('ASIA', 'Q7EXAMPLE', 'SCANTES'), '"%s"'),
  hit('awsKey', 'of a bearer', join('ABIA', 'Q7EXAMPLE', 'SCANTES')),
  hit('awsKey', 'of a context', join('ACCA', 'Q7EXAMPLE', 'SCANTES')),
  hit('awsKey', 'in a URL', aws, 'https://bucket.example.com/?AWSAccessKeyId=%s&Expires=1'),
  hit('awsKey', 'after an underscore', aws, 'key_%s_old'),
  hit('awsKey', 'the whole text', aws, '%s'),
  miss('awsKey', 'a role', join('AROA', 'Q7EXAMPLE', 'SCANTES')),
  miss('awsKey', 'with a hyphen', join('AKIA', '-Q7EXAMPLE', 'SCANTE')),
  miss('awsKey', 'in base64', `${'Zm9v'.repeat(4)}${aws}`),
  miss('awsKey', 'too short', 'AKIAQ7EXAMPLE'),
  miss('awsKey', 'in a longer word', `X${aws}`),
  miss('awsKey', 'longer', `${aws}X`),
  miss('awsKey', 'not base32', aws.replace('7', '1')),
  miss('awsKey', 'lower case', aws.toLowerCase()),

  hit('githubToken', 'a personal token', github),
  hit('githubToken', 'in a URL', github, 'https://%s@example.com'),
  hit('githubToken', 'a fine-grained token', fineGrained),
  hit('githubToken', 'of an OAuth app', github.replace('ghp', 'gho')),
  hit('githubToken', 'of a user to a server', github.replace('ghp', 'ghu')),
  hit('githubToken', 'of a server', github.replace('ghp', 'ghs'), 'GITHUB_TOKEN=%s'),
  hit('githubToken', 'a refresh token', github.replace('ghp', 'ghr'), '{"refresh":"%s"}'),
  hit('githubToken', 'the whole text', fineGrained, '%s'),
  miss('githubToken', 'short', github.slice(0, -1)),
  miss('githubToken', 'a fine-grained token, short', fineGrained.slice(0, -1)),
  miss('githubToken', 'a fine-grained token, longer', `${fineGrained}0`),
  miss('githubToken', 'upper case', github.replace('ghp', 'GHP')),
  miss('githubToken', 'a wrong checksum', `${github.slice(0, -1)}8`),
  miss('githubToken', 'another letter', github.replace('ghp', 'ghz')),
  miss('githubToken', 'in a longer word', `x${github}`),
  miss('githubToken', 'longer', `${github}0`),
  miss('githubToken', 'words about it', 'set github_pat_ or ghp_ tokens'),

  hit('stripeKey', 'a live key', stripe),
  hit('stripeKey', 'a restricted test key', join('rk_', 'test_', '4eC39HqLyjWDarjtT1zd'), '{"k":"%s"}'),
  hit('stripeKey', 'a webhook secret', join('whsec_', '4eC39HqLyjWDarjtT1zd')),
  hit('stripeKey', 'a test key', stripe.replace('live', 'test'), 'STRIPE_KEY=%s'),
  hit('stripeKey', 'a restricted key', stripe.replace('sk', 'rk'), "'%s'"),
  hit('stripeKey', 'a long key', stripe + '0aB'.repeat(29)),
  hit('stripeKey', 'in a URL', stripe, 'https://%s:@api.example.com/v1'),
  hit('stripeKey', 'the whole text', stripe, '%s'),
  miss('stripeKey', 'words about it', 'secret keys begin with sk_live_ or sk_test_'),
  miss('stripeKey', 'an id', stripe.replace('sk_live', 'cus')),
  miss('stripeKey', 'upper case', stripe.toUpperCase()),
  miss('stripeKey', 'with a gap', stripe.replace('4eC39', '4eC3 9')),
  miss('stripeKey', 'of another environment', stripe.replace('live', 'demo')),
  miss('stripeKey', 'a publishable key', stripe.replace('sk_', 'pk_')),
  miss('stripeKey', 'a name', 'task_live_update and sk_live_short'),
  miss('stripeKey', 'part of a word', `de${stripe}`),

  hit('jwt', 'a token', jwtToken),
  hit('jwt', 'after Bearer', jwtToken, 'Bearer %s'),
  hit('jwt', 'without a signature', `${jwtHeader}.${base64url('{"a":1}')}.`, '"%s"'),
  hit('jwt', 'in a cookie', jwtToken, 'session=%s; Path=/'),
  hit('jwt', 'in a URL', jwtToken, 'https://example.com/?token=%s&next=1'),
  hit('jwt', 'glued to a name', jwtToken, 'id_token_%s'),
  hit('jwt', 'after a version', jwtToken, 'v1.%s'),
  hit(
    'jwt',
    'encrypted',
    [base64url('{"alg":"dir","enc":"A128GCM"}'), '', 'aXY', 'Y2lwaGVy', 'dGFn'].join('.').replace('..', '.a2V5.'),
  ),
  miss('jwt', 'a header that is a list', [base64url('["alg"]'), 'e30', 'c2ln'].join('.')),
  miss('jwt', 'no payload', `${jwtHeader}..c2ln`),
  miss('jwt', 'a broken header', [jwtHeader.slice(0, -3), 'e30', 'c2ln'].join('.')),
  miss('jwt', 'spaces', [jwtHeader, 'e30', 'c2ln'].join(' . ')),
  miss('jwt', 'two parts', `${jwtHeader}.${base64url('{"a":1}')}`),
  miss('jwt', 'a header without alg', [base64url('{"typ":"x"}'), 'e30', 'x'].join('.')),
  miss('jwt', 'a file name', 'eyJzb21l.photo.png'),
  miss('jwt', 'base64 of JSON', base64url('{"hello":"world"}')),

  hit('cardNumber', 'sixteen digits', '4111111111111111'),
  hit('cardNumber', 'groups with spaces', '5555 5555 5555 4444'),
  hit('cardNumber', 'groups with hyphens', '3782-822463-10005'),
  hit('cardNumber', 'before its date', '6011 1111 1111 1117', 'card %s 12-27'),
  hit('cardNumber', 'before its code', '4111 1111 1111 1111', '%s 123'),
  hit('cardNumber', 'a card that begins with 2', '2223003122003222'),
  hit('cardNumber', 'fourteen digits', '30569309025904'),
  hit('cardNumber', 'JCB', '3530111333300000', 'card=%s&'),
  hit('cardNumber', 'spaces that do not break', '4111\u00a01111\u00a01111\u00a01111'),
  hit('cardNumber', 'groups with dots', '4111.1111.1111.1111'),
  hit('cardNumber', 'glued to a word', '6200000000000005', 'card%sx'),
  miss('cardNumber', 'a fraction', '4523.123456789012'),
  miss('cardNumber', 'a fraction as long as a card', '0.4111111111111111'),
  hit('cardNumber', 'after an abbreviation', '4111111111111111', 'no.%s'),
  miss('cardNumber', 'a book', '978-3-16-148410-0'),
  miss('cardNumber', 'a telephone number', '+44 20 7946 0958'),
  miss('cardNumber', 'a wrong check digit', '4111111111111112'),
  miss('cardNumber', 'a time in milliseconds', '1763841600000'),
  miss('cardNumber', 'no issuer', '9999999999999995'),
  miss('cardNumber', 'a longer number', '41111111111111110000000'),
  miss('cardNumber', 'a uuid', '00000000-0000-4000-8000-000000000000'),

  hit('ssn', 'with hyphens', '219-09-9999'),
  hit('ssn', 'with spaces', '219 09 9999'),
  hit('ssn', 'at the end of a sentence', '219-09-9999', 'It is %s.'),
  hit('ssn', 'in JSON', '078-05-1120', '{"ssn":"%s"}'),
  hit('ssn', 'the highest area', '899-99-9999'),
  hit('ssn', 'after a colon', '219-09-9999', 'SSN:%s'),
  hit('ssn', 'after another number', '219-09-9999', '12 %s'),
  hit('ssn', 'the whole text', '001-01-0001', '%s'),
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
  hit('email', 'before three dots', 'ada@example.com', 'ask %s...later'),
  hit('email', 'in a link', 'ada@example.com', 'mailto:%s?subject=x'),
  hit('email', 'upper case', 'ADA@EXAMPLE.COM'),
  hit('email', 'letters of other scripts', 'zoë@bücher.example', '「%s」'),
  miss('email', 'an image', 'icon@2x.png'),
  miss('email', 'with spaces', 'ada @ example.com'),
  miss('email', 'a top-level domain of one letter', 'a@b.c'),
  miss('email', 'a mention', 'hello @ada and ada@'),
  miss('email', 'no top-level domain', 'root@localhost'),
  miss('email', 'a package', 'pusher-js@8.6.0'),
  miss('email', 'an empty label', 'a@b..com'),
  miss('email', 'a decorator', '@Component.foo'),

  hit('privateKey', 'PKCS #8', pem(join('PRIVATE', ' KEY'))),
  hit('privateKey', 'RSA', pem(join('RSA PRIVATE', ' KEY'))),
  hit('privateKey', 'OpenSSH', pem(join('OPENSSH PRIVATE', ' KEY'))),
  hit('privateKey', 'encrypted', pem(join('ENCRYPTED PRIVATE', ' KEY'))),
  hit('privateKey', 'DSA', pem(join('DSA PRIVATE', ' KEY'))),
  hit('privateKey', 'PGP', pem(join('PGP PRIVATE', ' KEY BLOCK'))),
  hit('privateKey', 'in one line', pem(join('EC PRIVATE', ' KEY')).replaceAll('\n', ' '), 'key=%s;'),
  miss('privateKey', 'a request', pem('CERTIFICATE REQUEST')),
  miss('privateKey', 'an RSA public key', pem('RSA PUBLIC KEY')),
  miss('privateKey', 'parameters', pem('EC PARAMETERS')),
  miss('privateKey', 'fewer dashes', join('---- BEGIN PRIVATE', ' KEY ----')),
  miss('privateKey', 'only an end', join('-----END PRIVATE', ' KEY-----')),
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
  hit('bearerToken', 'upper case', 'abcdef0123456789abcdef', 'BEARER %s'),
  hit('bearerToken', 'after a tab', 'abcdef0123456789abcdef', 'Bearer\t%s'),
  hit('bearerToken', 'after many spaces', 'abcdef0123456789abcdef', `Bearer${' '.repeat(20)}%s`),
  hit('bearerToken', 'no digits', 'AbCdEfGhIjKlMnOpQrSt', 'Bearer %s'),
  hit('bearerToken', 'base64', 'YWJjZGVmZ2hpamtsbW5vcA==', "-H 'Authorization: Bearer %s'"),
  hit('bearerToken', 'the whole text', 'mF_9.B5f-4.1JqMzzzzz', 'Bearer %s'),
  miss('bearerToken', 'nothing', 'Bearer '),
  miss('bearerToken', 'a template', 'Authorization: Bearer ${TOKEN_OF_CHECKOUT}'),
  miss('bearerToken', 'another scheme', 'Basic abcdef0123456789abcdef'),
  miss('bearerToken', 'words', 'a bearer of internationalization news'),
  miss('bearerToken', 'no space', 'bearerabcdef0123456789abcdef'),
  miss('bearerToken', 'a word', 'the bearer responsibilities'),
  miss('bearerToken', 'short', 'Bearer abc123'),
  miss('bearerToken', 'part of a word', 'forbearer abcdef0123456789abcdef'),

  hit('relayToken', 'a live token', relay),
  hit('relayToken', 'a test token', relayTest + checksumOf(relayTest)),
  hit('relayToken', 'in JSON', relay, '{"t":"%s"}'),
  hit('relayToken', 'after Bearer', relay, 'Bearer %s'),
  hit('relayToken', 'in a configuration', relay, 'RELAY_TOKEN=%s\n'),
  hit('relayToken', 'in a URL', relay, 'https://example.com/?token=%s&x=1'),
  hit('relayToken', 'at the end of a sentence', relay, 'It is %s.'),
  hit('relayToken', 'the whole text', relay, '%s'),
  miss('relayToken', 'a wrong checksum', `${relayBody}zzzzzz`),
  miss('relayToken', 'words about it', 'tokens begin with rly_live_ or rly_test_'),
  miss('relayToken', 'short', relay.slice(0, -1)),
  miss('relayToken', 'longer', `${relay}0`),
  miss('relayToken', 'in a longer word', `x${relay}`),
  miss('relayToken', 'of another environment', relay.replace('live', 'prod')),
  miss('relayToken', 'upper case', relay.toUpperCase()),
  miss('relayToken', 'its id', relay.slice(0, 19)),
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
