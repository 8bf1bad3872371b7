import { describe, expect, test } from 'vitest';
import { customResourceDefinition } from './custom-resource-definition.ts';
import { criticalFields } from './directory/critical.ts';
import { appEntryBody } from './directory/entry-body.ts';
import { KINDS } from './kinds.ts';
import { DETECTORS, entryScanRules, scanRules, secretScanning } from './secret-scanning.ts';

describe('the rules that a spec comes to', () => {
  test.each([
    [undefined, null],
    [{}, null],
    [{ mode: 'Off' }, null],
    [{ mode: false }, null],
    [{ detectors: { email: 'Warn' } }, { email: 'Warn' }],
    [{ mode: 'Off', detectors: { email: 'Redact', ssn: false } }, { email: 'Redact' }],
    [{ mode: 'Warn' }, Object.fromEntries(DETECTORS.map((name) => [name, 'Warn']))],
  ] as const)('%j: %j', (spec, rules) => expect(scanRules(spec)).toEqual(rules));

  test('a detector has its own mode, all others the general one', () => {
    const rules = scanRules({ mode: 'Redact', detectors: { email: 'Off', awsKey: 'Reject' } });
    expect([rules?.email, rules?.awsKey, rules?.jwt]).toEqual([undefined, 'Reject', 'Redact']);
  });
});

test.each([
  { mode: 'On' },
  { mode: true },
  { mode: 'off' },
  { mode: null },
  { detectors: { mail: 'Warn' } },
  { detectors: { email: 1 } },
])('%j is refused', (spec) => expect(secretScanning.safeParse(spec).success).toBe(false));

test('the API server takes Off in both forms', () => {
  const app = KINDS.find(({ kind }) => kind === 'RelayApp') ?? expect.fail('no RelayApp');
  const field = { enum: ['Off', 'Warn', 'Redact', 'Reject', false], 'x-kubernetes-preserve-unknown-fields': true };
  const crd = JSON.stringify(customResourceDefinition(app));
  expect(crd.split(JSON.stringify(field).slice(1, -1)).length - 1).toBe(DETECTORS.length + 1);
});

describe('in a directory entry', () => {
  test.each([{ email: 'Off' }, { mail: 'Warn' }, { email: 'Quarantine' }])('%j is not understood', (rules) => {
    expect(entryScanRules.safeParse(rules).success).toBe(false);
  });
  test('it is critical where it is', () => {
    const body = {
      appId: '1',
      namespace: 'n',
      name: 'n',
      enabled: true,
      keys: [],
      authentication: { bearer: true, keyAndSecret: true, signature: true },
      limits: { connections: null, eventBytes: 1, clientEventsPerSecond: 1 },
      channels: { clientEvents: true },
    };
    expect(criticalFields({ key: 'app/1', body })).toEqual([]);
    expect(criticalFields({ key: 'app/1', body: { ...body, secretScanning: { ssn: 'Warn' } } })).toEqual([
      'secretScanning',
    ]);
    expect(appEntryBody.parse(body).secretScanning).toBeUndefined();
  });
});
