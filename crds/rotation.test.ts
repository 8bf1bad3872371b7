import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { API_VERSION } from './api-group.ts';
import { rotationFields, rotationTimes, withRotationRules } from './rotation.ts';
import { formatPath, validateManifest } from './validate.ts';

const HOUR = 3_600_000;
const rotation = withRotationRules(z.strictObject(rotationFields));
const mistakes = (value: object): string[] =>
  (rotation.safeParse(value).error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`);

describe('the times of a rotation', () => {
  test.each([
    [{}, 2160, 168, 672],
    [{ interval: '2160h' }, 2160, 168, 672],
    [{ interval: '24h' }, 24, 12, 48],
    [{ interval: '1h', overlap: '30m' }, 1, 0.5, 2],
    [{ overlap: '24h', deadline: '24h' }, 2160, 24, 24],
    [{ deadline: '24h' }, 2160, 24, 24],
  ])('%j', (declared, interval, overlap, deadline) => {
    expect(mistakes(declared)).toEqual([]);
    expect(rotationTimes(declared)).toEqual({
      interval: interval * HOUR,
      overlap: overlap * HOUR,
      deadline: deadline * HOUR,
    });
  });

  test.each([
    [{ interval: '59m' }, 'interval: interval must be at least 1h'],
    [{ interval: '87601h' }, 'interval: interval must be at least 1h and at most 87600h'],
    [{ interval: '24h', overlap: '24h' }, 'overlap: overlap must be shorter than interval'],
    [{ overlap: '2160h' }, 'overlap: overlap must be shorter than interval (2160h unless it is set)'],
    [{ overlap: '0s' }, 'overlap: overlap must be at least 1s'],
    [{ overlap: '2h', deadline: '1h' }, 'deadline: deadline must not be shorter than overlap'],
    [{ deadline: '999999999h' }, 'deadline: deadline must be at least 1s and at most 87600h'],
  ])('%j is refused, and the message says what to write', (declared, message) => {
    expect(mistakes(declared)).toEqual([expect.stringContaining(message)]);
  });

  test('what is no duration is one mistake, whatever it would be compared with', () => {
    expect(mistakes({ interval: '90d', overlap: '168h' })).toEqual([
      expect.stringContaining('write 2160h instead of 90d'),
    ]);
  });
});

describe('credentials and rotation of a RelayApp', () => {
  const errorsOf = (spec: object): string[] => {
    const result = validateManifest({
      apiVersion: API_VERSION,
      kind: 'RelayApp',
      metadata: { name: 'checkout' },
      spec,
    });
    return result.ok ? [] : result.errors.map(({ path, message }) => `${formatPath(path)}: ${message}`);
  };

  test('whole', () => {
    expect(
      errorsOf({
        rotation: {
          interval: '2160h',
          overlap: '168h',
          deadline: '672h',
          rotates: 'Secret',
          notify: ['a@example.com'],
        },
      }),
    ).toEqual([]);
    expect(errorsOf({ credentials: { importFrom: { name: 'old-pusher', keys: { id: 'APP.id' } } } })).toEqual([]);
  });

  test.each([
    [
      { rotation: {}, credentials: { importFrom: { name: 'old-pusher' } } },
      'spec.rotation: rotation and credentials.importFrom exclude each other',
    ],
    [{ rotation: { interval: '90d' } }, 'spec.rotation.interval: must be a duration'],
    [{ rotation: { interval: '24h', overlap: '25h' } }, 'spec.rotation.overlap: overlap must be shorter than interval'],
    [{ rotation: { intervall: '24h' } }, 'spec.rotation.intervall: unknown field, did you mean interval?'],
    [{ rotation: { notify: [] } }, 'spec.rotation.notify: name at least one address'],
    [{ rotation: { notify: ['a@example.com', 'a@example.com'] } }, 'spec.rotation.notify: name at least one address'],
    [{ rotation: { notify: ['Platform <a@example.com>'] } }, 'spec.rotation.notify[0]: must be a mail address'],
    [{ rotation: { notify: ['a@example.com\nBcc: b@example.com'] } }, 'spec.rotation.notify[0]: must be a mail'],
    [
      { credentials: { importFrom: { name: 'old-pusher', keys: { id: 'a/b' } } } },
      'spec.credentials.importFrom.keys.id: must be a key of the data of a Secret',
    ],
  ])('%j', (spec, message) => {
    expect(errorsOf(spec)).toEqual([expect.stringContaining(message)]);
  });
});
