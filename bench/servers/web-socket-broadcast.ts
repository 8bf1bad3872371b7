import { createServer, type IncomingMessage } from 'node:http';
import { WebSocketServer, type WebSocket } from 'ws';

// Reference: what a plain Node program does, `ws.send(string)` to every subscriber. It speaks just enough for the load generator and
// checks nothing. Prints `listening PORT`.

type Published = {
  readonly name: string;
  readonly channels?: readonly string[];
  readonly channel?: string;
  readonly data: string;
};

const channels = new Map<string, Set<WebSocket>>();

function broadcast({ name, channels: many, channel: one, data }: Published): void {
  for (const channel of many ?? [one ?? '']) {
    const text = JSON.stringify({ channel, event: name, data });
    for (const socket of channels.get(channel) ?? []) socket.send(text);
  }
}

const server = createServer((request, response) => {
  let body = '';
  request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
  request.on('end', () => {
    const published = JSON.parse(body) as Published & { readonly batch?: readonly Published[] };
    for (const event of published.batch ?? [published]) broadcast(event);
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': 2 }).end('{}');
  });
});

const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, clientTracking: false });
server.on('upgrade', (request: IncomingMessage, stream, head) => {
  sockets.handleUpgrade(request, stream, head, (socket) => {
    socket.send(
      JSON.stringify({ event: 'pusher:connection_established', data: '{"socket_id":"1.1","activity_timeout":120}' }),
    );
    socket.on('message', (message: Buffer) => {
      const { event, data } = JSON.parse(message.toString()) as { event: string; data: { channel: string } };
      if (event !== 'pusher:subscribe') return;
      const members = channels.get(data.channel) ?? new Set();
      channels.set(data.channel, members.add(socket));
      socket.send(
        JSON.stringify({ event: 'pusher_internal:subscription_succeeded', channel: data.channel, data: '{}' }),
      );
    });
  });
});
server.listen(0, '127.0.0.1', 1024, () => {
  const address = server.address();
  if (address !== null && typeof address === 'object') process.stdout.write(`listening ${address.port}\n`);
});
