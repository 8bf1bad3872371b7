import { createHash, createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

// Reference for a publish: node:http and one HMAC, nothing else. Verifies body_md5 and the Pusher signature over method, path and query
// as the load generator sends it (already sorted), answers `{}`. Prints `listening PORT`.

const secret = createSecretKey('appsecret', 'utf8');
const SIGNATURE = '&auth_signature=';

function holds(method: string, url: string, body: Buffer): boolean {
  const [path = '', query = ''] = url.split('?', 2);
  const cut = query.indexOf(SIGNATURE);
  const signed = query.slice(0, cut);
  const digest = createHash('md5').update(body).digest('hex');
  if (cut < 0 || !signed.endsWith(`body_md5=${digest}`)) return false;
  const expected = createHmac('sha256', secret).update(`${method}\n${path}\n${signed}`).digest();
  const presented = Buffer.from(query.slice(cut + SIGNATURE.length), 'hex');
  return presented.length === expected.length && timingSafeEqual(presented, expected);
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const status = holds(request.method ?? '', request.url ?? '', Buffer.concat(chunks)) ? 200 : 401;
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': 2 }).end('{}');
  });
});
server.listen(0, '127.0.0.1', 1024, () => {
  const address = server.address();
  if (address !== null && typeof address === 'object') process.stdout.write(`listening ${address.port}\n`);
});
