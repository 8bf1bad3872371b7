import { expect, test } from 'vitest';
import { parseWebhookUrl } from './webhook-url.ts';

test.each(['https://hooks.example.com/services/T0/B0/x', 'http://localhost:8065/hooks/x', 'http://127.0.0.1/x'])(
  '%s is taken',
  (url) => {
    expect(parseWebhookUrl(url).reveal()).toBe(url);
  },
);

test.each([
  ['hunter2', /must be an https/],
  ['http://chat.example.com/hooks/hunter2', /must be an https/],
  ['ftp://localhost/hunter2', /must be an https/],
  ['https://relay:hunter2@chat.example.com/', /must not have a user/],
])('%s is refused without being repeated', (url, message) => {
  expect(() => parseWebhookUrl(url)).toThrow(message);
  expect(() => parseWebhookUrl(url)).not.toThrow(/hunter2/);
});
