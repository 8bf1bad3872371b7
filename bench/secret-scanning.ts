import { DETECTORS, type ScanRules } from '#crds/secret-scanning.ts';
import { corpus } from '#relay/scan/corpus.ts';
import { scan } from '#relay/scan/scan.ts';

// node bench/secret-scanning.ts: CPU time per kilobyte of looking through an event's data with all detectors. Needs nothing.

const TARGET = 2;
const BYTES = 10_240;
const WARM_UP = 5_000;
const TIMES = 20_000;
const ROUNDS = 5;

const order = {
  order: {
    id: 'ord_8213',
    placedAt: 1_763_841_600_000,
    items: [
      { sku: 'SKU-1', title: 'Blue chair, oak legs', quantity: 2, price: 129.9 },
      { sku: 'SKU-77', title: 'Desk lamp', quantity: 1, price: 39.5 },
    ],
    note: 'Please leave it at the door, thank you very much. The bell does not work, so knock twice.',
  },
  trace: '3f2b8c1e-9d4a-4c7b-8f21-6a5e0d9c1b7f',
};
const sentence = 'The quick brown fox jumps over the lazy dog, and then Judges keep on asking why it did so. ';
const secrets = corpus.flatMap(({ secret = [] }) => secret).join(' ');

/** As it comes from JSON.parse: in one piece. */
const flat = (text: string): string => Buffer.from(text.slice(0, BYTES)).toString();
const filled = (text: string): string => flat(text.repeat(Math.ceil(BYTES / text.length)));
const payloads: readonly (readonly [name: string, text: string, clean: boolean])[] = [
  ['orders in JSON', filled(`${JSON.stringify(order)},`), true],
  ['prose', filled(sentence), true],
  ['base64', flat(Buffer.from(filled(sentence)).toString('base64')), true],
  ['coordinates and times, little else', filled('[51.507351,-0.127758,1763841600],'), true],
  ['times, little else', filled('"2026-11-26T10:11:12.123Z",'), true],
  ['numbers as long as cards, little else', filled('[1763841600123,176],'), false],
  ['JSON with escapes, parsed', flat(JSON.stringify({ text: 'Grüße '.repeat(400) }).replaceAll('ü', '\\u00fc')), false],
  ['nothing but secrets', filled(`${secrets} `), false],
];
const rules: ScanRules = Object.fromEntries(DETECTORS.map((name) => [name, 'Redact']));

const over: string[] = [];
process.stdout.write('| payload of 10 KiB | CPU µs per kilobyte |\n| --- | --- |\n');
for (const [name, text, clean] of payloads) {
  const times = clean ? TIMES : TIMES / 20;
  for (let at = 0; at < WARM_UP / (clean ? 1 : 20); at += 1) scan(text, rules);
  const rounds = Array.from({ length: ROUNDS }, () => {
    const before = process.cpuUsage();
    for (let at = 0; at < times; at += 1) scan(text, rules);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / times / (text.length / 1_024);
  }).toSorted((a, b) => a - b);
  const median = rounds[Math.floor(ROUNDS / 2)] ?? Number.NaN;
  if (clean && median > TARGET) over.push(name);
  process.stdout.write(`| ${name}${clean ? '' : ' (without a target)'} | ${median.toFixed(2)} |\n`);
}
process.stdout.write(
  `\nTarget: at most ${TARGET} µs for clean payloads. ${over.length === 0 ? 'Reached.' : `Not reached: ${over.join(', ')}.`}\n`,
);
