import { expect, test } from 'vitest';
import { objectName } from '#crds/resource.ts';
import { stagedName } from './staging.ts';

test('the staged Secret is named after the one that it becomes', () => {
  expect(stagedName('checkout-relay')).toBe('checkout-relay-next');
});

test.each(['a'.repeat(253), `${'a'.repeat(247)}-${'b'.repeat(5)}`, `${'a'.repeat(246)}-.${'b'.repeat(5)}`])(
  'a long name stays one that Kubernetes takes, and another one',
  (name) => {
    expect(objectName.safeParse(stagedName(name)).success).toBe(true);
    expect(stagedName(name)).not.toBe(name);
  },
);
