import type { Token } from '#relay/directory/directory.ts';
import { DEFAULT_POLICY } from './app-policy.ts';

/** An app of the directory without a setting of its own, its keys left to the test. */
export const SAMPLE_APP = { appId: '101', namespace: 'shop', name: 'checkout', ...DEFAULT_POLICY };

/** A live token of that app which may do everything and has no end. */
export const SAMPLE_TOKEN: Omit<Token, 'sha256'> = {
  id: 'token00001',
  appId: '101',
  namespace: 'shop',
  name: 'ci',
  environment: 'Live',
  expiresAt: null,
  rotated: false,
  graceUntil: null,
  scopes: null,
  rate: null,
  revision: 1,
};
