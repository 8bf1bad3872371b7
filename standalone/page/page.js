// Runs in the browser. Everything that comes from outside is written as text, never as HTML.
/* global Pusher */
const at = (id) => document.getElementById(id);
const KEPT = 100;
let connection;

const apps = await (await fetch('/page/apps.json')).json();
at('channel').value = apps.channel;
for (const { namespace, name, appId } of apps.served) at('app').append(new Option(`${namespace}/${name}`, appId));

function choose() {
  const app = apps.served.find(({ appId }) => appId === at('app').value);
  at('key').value = app?.key ?? '';
  at('publish').hidden = app?.curl === undefined;
  at('curl').textContent = app?.curl ?? '';
}

function say(text) {
  at('state').textContent = text;
}

function show(channel, name, data) {
  const item = document.createElement('li');
  const time = document.createElement('time');
  const title = document.createElement('strong');
  const body = document.createElement('pre');
  time.textContent = new Date().toLocaleTimeString();
  title.textContent = name;
  body.textContent = typeof data === 'string' ? data : JSON.stringify(data, undefined, 2);
  item.append(time, ' ', title, ` on ${channel}`, body);
  at('none').hidden = true;
  at('events').prepend(item);
  while (at('events').children.length > KEPT) at('events').lastChild.remove();
}

function subscribe() {
  connection?.disconnect();
  const channelName = at('channel').value;
  const secure = location.protocol === 'https:';
  const port = Number(location.port) || (secure ? 443 : 80);
  connection = new Pusher(at('key').value, {
    cluster: 'relay',
    wsHost: location.hostname,
    wsPort: port,
    wssPort: port,
    forceTLS: secure,
    enabledTransports: ['ws', 'wss'],
    disableStats: true,
  });
  connection.connection.bind('state_change', ({ current }) => say(`${current[0].toUpperCase()}${current.slice(1)}`));
  connection.connection.bind('error', ({ error }) => {
    if (error?.data?.message) say(`Refused: ${error.data.message} (${error.data.code})`);
  });
  const channel = connection.subscribe(channelName);
  channel.bind('pusher:subscription_succeeded', () => say(`Connected, subscribed to ${channelName}`));
  channel.bind('pusher:subscription_error', ({ error }) => say(`Not subscribed to ${channelName}: ${error}`));
  channel.bind_global((name, data) => {
    if (!name.startsWith('pusher:')) show(channelName, name, data);
  });
}

at('app').addEventListener('change', () => {
  choose();
  subscribe();
});
at('subscription').addEventListener('submit', (event) => {
  event.preventDefault();
  subscribe();
});
at('copy').addEventListener('click', () => {
  navigator.clipboard.writeText(at('curl').textContent).then(
    () => (at('copied').textContent = 'Copied'),
    () => (at('copied').textContent = 'Not allowed to copy: select the text'),
  );
});

choose();
if (at('key').value === '') say('No app is served yet: put a RelayApp into the folder and load this page again');
else subscribe();
