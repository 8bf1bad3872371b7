/** A request as it goes over the wire. Header values come with what stands before them. */
export type RawRequest = {
  readonly method: string;
  readonly target: string;
  readonly version: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
};

export function bytesOf({ method, target, version, headers, body }: RawRequest): Buffer {
  const lines = [`${method} ${target} ${version}`, ...headers.map(([name, value]) => `${name}:${value}`), '', body];
  return Buffer.from(lines.join('\r\n'));
}

/** What somebody outside may make of a request, to be taken for another one. */
export type Trick = {
  readonly name: string;
  /** How many slashes, segments or headers of this request it can be played on. */
  readonly places: (request: RawRequest) => number;
  /** @param at which of them, as it comes round. */
  readonly play: (request: RawRequest, at: number) => RawRequest;
};
type Played = Omit<Trick, 'name'>;

/** What a client, who does not speak last, may write into headers that the proxy behind it goes on to write. */
const WISHES = [
  ['X-Forwarded-For', '203.0.113.9'],
  ['X-Forwarded-Proto', 'https'],
  ['Forwarded', 'for=203.0.113.9;proto=https'],
  ['X-Real-IP', '203.0.113.9'],
  ['X-Client-IP', '203.0.113.9'],
  ['True-Client-IP', '203.0.113.9'],
  ['CF-IPCountry', 'DE'],
  ['X_Forwarded_For', '203.0.113.9'],
  ['X-Original-URL', '/apps/101/channels'],
  ['X-Rewrite-URL', '/apps/101/channels'],
  ['X-HTTP-Method-Override', 'GET'],
  ['Connection', 'X-Forwarded-For, X-Forwarded-Proto, Origin'],
  ['Proxy-Authorization', 'Bearer x'],
  ['Cookie', 'authorization=x'],
  ['Expect', '100-continue'],
  ['Trailer', 'Authorization'],
  ['Upgrade', 'h2c'],
] as const;

const pathOf = (target: string): string => target.split('?', 1)[0] ?? '';
const once = (play: (request: RawRequest) => RawRequest): Played => ({ places: () => 1, play });
const replacingPath = (request: RawRequest, change: (path: string) => string): RawRequest => {
  const path = pathOf(request.target);
  return { ...request, target: change(path) + request.target.slice(path.length) };
};
const onPath = (change: (path: string) => string): Played => once((request) => replacingPath(request, change));
const onSlash = (replacement: string): Played => ({
  places: ({ target }) => pathOf(target).split('/').length - 1,
  play: (request, at) =>
    replacingPath(request, (path) => {
      const slashes = [...path.matchAll(/\//g)].map(({ index }) => index);
      const index = slashes[at % slashes.length] ?? 0;
      return path.slice(0, index) + replacement + path.slice(index + 1);
    }),
});
const onSegment = (change: (segment: string) => string): Played => ({
  places: ({ target }) => pathOf(target).split('/').length - 1,
  play: (request, at) =>
    replacingPath(request, (path) => {
      const [first = '', ...segments] = path.split('/');
      const index = at % segments.length;
      return [first, ...segments.map((segment, place) => (place === index ? change(segment) : segment))].join('/');
    }),
});
const onQuery = (change: (query: string) => string): Played =>
  once((request) => {
    const path = pathOf(request.target);
    return { ...request, target: `${path}?${change(request.target.slice(path.length + 1))}` };
  });

/** The headers that say something to the gate. Where a message ends is not a rule of it; other tests lie about that. */
const TELLING = [
  'Authorization',
  'X-Relay-Key',
  'X-Relay-Secret',
  'X-Forwarded-For',
  'X-Forwarded-Proto',
  'Origin',
  'Upgrade',
];
/** Those that nobody outside can have left out: the proxy writes them, and a browser its Origin. */
const OF_OTHERS = ['X-Forwarded-For', 'X-Forwarded-Proto', 'Origin'];

type Header = readonly [name: string, value: string];
const onHeader = (
  change: (name: string, value: string) => readonly Header[],
  spared: readonly string[] = [],
): Played => {
  const indices = ({ headers }: RawRequest): number[] =>
    headers.flatMap(([name], index) => (TELLING.includes(name) && !spared.includes(name) ? [index] : []));
  return {
    places: (request) => indices(request).length,
    play: (request, at) => {
      const possible = indices(request);
      const index = possible[at % possible.length];
      const headers = request.headers.flatMap(([name, value], place) =>
        place === index ? change(name, value) : [[name, value] as const],
      );
      return { ...request, headers };
    },
  };
};

const percent = (text: string): string =>
  [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
const fullWidth = (text: string): string =>
  text.replaceAll(/[!-~]/g, (character) => String.fromCharCode(character.charCodeAt(0) + 0xfee0));
const swapCase = (text: string): string =>
  text.replaceAll(/[a-z]/gi, (letter) =>
    letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase(),
  );

export const tricks: readonly Trick[] = [
  // the path
  { name: 'a slash twice', ...onSlash('//') },
  { name: 'a slash as %2f', ...onSlash('%2f') },
  { name: 'a slash as %2F', ...onSlash('%2F') },
  { name: 'a slash as %252f', ...onSlash('%252f') },
  { name: 'a backslash', ...onSlash('\\') },
  { name: 'a slash of another script', ...onSlash('\u2215') },
  { name: 'an overlong slash', ...onSlash('%c0%af') },
  { name: '/./', ...onSlash('/./') },
  { name: '/x/../', ...onSlash('/x/../') },
  { name: '/x/%2e%2e/', ...onSlash('/x/%2e%2e/') },
  { name: '/..;/', ...onSlash('/..;/') },
  { name: 'a NUL', ...onSlash('/%00') },
  { name: 'a parameter of the path', ...onSegment((segment) => `${segment};x=1`) },
  { name: 'a semicolon', ...onSegment((segment) => `${segment};`) },
  { name: 'a segment in percents', ...onSegment(percent) },
  { name: 'a segment in percents twice', ...onSegment((segment) => percent(percent(segment))) },
  { name: 'a segment in the other case', ...onSegment(swapCase) },
  { name: 'a segment in full width', ...onSegment(fullWidth) },
  { name: 'a space behind a segment', ...onSegment((segment) => `${segment}%20`) },
  { name: 'a tab behind a segment', ...onSegment((segment) => `${segment}%09`) },
  { name: 'a zero before a segment', ...onSegment((segment) => `0${segment}`) },
  { name: 'a dot behind a segment', ...onSegment((segment) => `${segment}.`) },
  { name: 'a suffix', ...onPath((path) => `${path}.json`) },
  { name: 'a slash at the end', ...onPath((path) => `${path}/`) },
  { name: 'a fragment', ...onPath((path) => `${path}#/`) },
  { name: 'an escaped question mark', ...onPath((path) => `${path}%3f`) },
  { name: 'two question marks', ...onPath((path) => `${path}??`) },
  { name: 'the whole URL', ...onPath((path) => `http://relay.example${path}`) },
  { name: 'the whole URL of somebody else', ...onPath((path) => `https://user@evil.net:1${path}`) },
  { name: 'a URL with a query in its host', ...onPath((path) => `http://x?a=b${path}`) },
  { name: 'a URL of another scheme', ...onPath((path) => `file://${path}`) },
  { name: 'no slash in front', ...onPath((path) => path.slice(1)) },
  { name: 'the server itself', ...once((request) => ({ ...request, target: '*' })) },
  // the query
  { name: 'protocol first', ...onQuery((query) => `protocol=7&${query}`) },
  { name: 'names in capitals', ...onQuery((query) => query.toUpperCase()) },
  { name: 'the query twice', ...onQuery((query) => `${query}&${query}`) },
  { name: 'names in percents', ...onQuery((query) => query.replaceAll('_', '%5f')) },
  { name: 'another key', ...onQuery((query) => `${query}&auth_key=k101`) },
  { name: 'an access token', ...onQuery((query) => `${query}&access_token=x&token=x`) },
  { name: 'semicolons', ...onQuery((query) => query.replaceAll('&', ';')) },
  // the request line
  { name: 'a method in small letters', ...once((request) => ({ ...request, method: request.method.toLowerCase() })) },
  ...['HEAD', 'OPTIONS', 'PUT', 'TRACE', 'PROPFIND'].map((method): Trick => ({
    name: `method ${method}`,
    ...once((request) => ({ ...request, method })),
  })),
  { name: 'HTTP/1.0', ...once((request) => ({ ...request, version: 'HTTP/1.0' })) },
  { name: 'HTTP/2', ...once((request) => ({ ...request, version: 'HTTP/2.0' })) },
  { name: 'a space too many', ...once((request) => ({ ...request, target: ` ${request.target}` })) },
  { name: 'a tab for a space', ...once((request) => ({ ...request, version: `\tx ${request.version}` })) },
  // headers
  { name: 'a name in the other case', ...onHeader((name, value) => [[swapCase(name), value]]) },
  { name: 'a name in capitals', ...onHeader((name, value) => [[name.toUpperCase(), value]]) },
  { name: 'underscores in a name', ...onHeader((name, value) => [[name.replaceAll('-', '_'), value]], OF_OTHERS) },
  { name: 'a space before the colon', ...onHeader((name, value) => [[`${name} `, value]]) },
  { name: 'a space before a name', ...onHeader((name, value) => [[` ${name}`, value]]) },
  { name: 'a name of another script', ...onHeader((name, value) => [[fullWidth(name), value]]) },
  { name: 'no space before a value', ...onHeader((name, value) => [[name, value.trim()]]) },
  { name: 'much space around a value', ...onHeader((name, value) => [[name, `\t  ${value.trim()} \t `]]) },
  { name: 'a value folded', ...onHeader((name, value) => [[name, `\r\n ${value.trim()}`]]) },
  { name: 'a value folded in its middle', ...onHeader((name, value) => [[name, value.replace(/.$/, '\r\n $&')]]) },
  { name: 'a line ended by LF', ...onHeader((name, value) => [[name, `${value}\nX-Forwarded-Proto: https`]]) },
  { name: 'a line ended by CR', ...onHeader((name, value) => [[name, `${value}\rX-Forwarded-Proto: https`]]) },
  { name: 'a NUL in a value', ...onHeader((name, value) => [[name, `${value}\0`]]) },
  { name: 'a value in quotes', ...onHeader((name, value) => [[name, ` "${value.trim()}"`]]) },
  { name: 'a value in the other case', ...onHeader((name, value) => [[name, swapCase(value)]]) },
  { name: 'a value in full width', ...onHeader((name, value) => [[name, fullWidth(value)]]) },
  { name: 'a value with a zone', ...onHeader((name, value) => [[name, `${value}%eth0`]]) },
  { name: 'a value in brackets', ...onHeader((name, value) => [[name, ` [::ffff:${value.trim()}]:80`]]) },
  { name: 'a value with a port', ...onHeader((name, value) => [[name, `${value}:443`]]) },
  {
    name: 'a header twice',
    ...onHeader((name, value) => [
      [name, value],
      [name, value],
    ]),
  },
  {
    name: 'a header twice, once empty',
    ...onHeader((name, value) => [
      [name, value],
      [name, ''],
    ]),
  },
  {
    name: 'a header twice, in two cases',
    ...onHeader((name, value) => [
      [name.toLowerCase(), ' x'],
      [name.toUpperCase(), value],
    ]),
  },
  { name: 'a header left out', ...onHeader(() => [], OF_OTHERS) },
  ...WISHES.map(([name, value]): Trick => ({
    name: `${name}: ${value}`,
    ...once((request) => ({ ...request, headers: [[name, ` ${value}`], ...request.headers] })),
  })),
];
