import { z } from 'zod';

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

/** What to do about what each detector finds; one that is not named is not looked for. */
export type ScanRules = { readonly [N in DetectorName]?: Exclude<ScanMode, 'Off'> };

const mode = z.enum(SCAN_MODES);

/** For YAML 1.1, which kubectl reads, `Off` without quotes is the boolean false. A schema of two types has none for the API server. */
type DeclaredMode = ScanMode | false;
const declaredMode = z
  .unknown()
  .meta({ enum: [...SCAN_MODES, false], 'x-kubernetes-preserve-unknown-fields': true })
  .pipe(z.union([mode, z.literal(false)], `must be one of ${SCAN_MODES.join(', ')}`));
const modes = Object.fromEntries(DETECTORS.map((name) => [name, declaredMode.optional()]));

/** In a directory entry. A detector that this relay does not know makes the entry invalid: half of the rules would be too few. */
export const entryScanRules: z.ZodType<ScanRules> = z.partialRecord(z.enum(DETECTORS), mode.exclude(['Off']));

/** Of a RelayApp. */
export const secretScanning = z.strictObject({
  mode: declaredMode
    .optional()
    .describe(
      'What happens to an event in which a detector finds something, for detectors not named below. Default Off.',
    ),
  detectors: z.strictObject(modes).optional().describe('The mode of single detectors.'),
});
export type SecretScanning = {
  readonly mode?: DeclaredMode | undefined;
  readonly detectors?: { readonly [N in DetectorName]?: DeclaredMode | undefined } | undefined;
};

/** The rules that it comes to; null: nothing is looked for. */
export function scanRules({ mode: general = 'Off', detectors = {} }: SecretScanning = {}): ScanRules | null {
  const rules = DETECTORS.flatMap((name) => {
    const own = detectors[name] ?? general;
    return own === 'Off' || own === false ? [] : [[name, own] as const];
  });
  return rules.length === 0 ? null : Object.fromEntries(rules);
}
