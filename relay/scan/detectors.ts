import { DETECTORS, type DetectorName } from '#crds/secret-scanning.ts';
import type { Detector } from './detector.ts';
import { awsKey } from './detectors/aws-key.ts';
import { bearerToken } from './detectors/bearer-token.ts';
import { cardNumber } from './detectors/card-number.ts';
import { email } from './detectors/email.ts';
import { githubToken } from './detectors/github-token.ts';
import { jwt } from './detectors/jwt.ts';
import { privateKey } from './detectors/private-key.ts';
import { relayToken } from './detectors/relay-token.ts';
import { ssn } from './detectors/ssn.ts';
import { stripeKey } from './detectors/stripe-key.ts';

/** A new detector is a name in crds/secret-scanning.ts, a file in detectors/, a row here, and lines in the corpus. */
const byName: { readonly [N in DetectorName]: Detector } = {
  awsKey,
  bearerToken,
  cardNumber,
  email,
  githubToken,
  jwt,
  privateKey,
  relayToken,
  ssn,
  stripeKey,
};

export const detectors: readonly Detector[] = DETECTORS.map((name) => byName[name]);
