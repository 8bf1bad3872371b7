/** What is looked for in event payloads (R10). One name per detector of relay/scan/detectors. */
export const DETECTORS = [
  'awsKey',
  'bearerToken',
  'cardNumber',
  'email',
  'githubToken',
  'jwt',
  'privateKey',
  'relayToken',
  'ssn',
  'stripeKey',
] as const;
export type DetectorName = (typeof DETECTORS)[number];

/**
 * What happens to an event in which a detector finds something. Warn: counted and logged, delivered as it is. Redact: what was found is
 * replaced by `[REDACTED]`. Reject: refused.
 */
export const SCAN_MODES = ['Off', 'Warn', 'Redact', 'Reject'] as const;
export type ScanMode = (typeof SCAN_MODES)[number];
