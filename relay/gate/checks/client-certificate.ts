import type { CertificateFault } from '../../access/presented-certificate.ts';
import type { RefusalCode } from '../refusals.ts';
import { check } from '../check.ts';

const FAULTS = {
  sha1: 'client_certificate_sha1',
  unreadable: 'client_certificate_unreadable',
  contradictory: 'client_certificate_contradictory',
} as const satisfies Record<CertificateFault, RefusalCode>;

/** An app that requires none does not look at any. The end is judged by the relay's clock, as a token's is. */
export const clientCertificate = check({
  name: 'client-certificate',
  doors: ['http', 'websocket', 'live'],
  stage: 'arrival',
  refuses: [
    'client_certificate_required',
    'client_certificate_unknown',
    'client_certificate_expired',
    'client_certificate_sha1',
    'client_certificate_unreadable',
    'client_certificate_contradictory',
  ],
  refusal: ({ app, certificate, registration, now }) => {
    if (app?.access.clientCertificatesRequired !== true) return undefined;
    if (certificate === undefined) return 'client_certificate_required';
    if ('fault' in certificate) return FAULTS[certificate.fault];
    if (registration === undefined) return 'client_certificate_unknown';
    const { notAfter } = registration;
    return notAfter !== null && notAfter <= now ? 'client_certificate_expired' : undefined;
  },
});
