import { expect, test } from 'vitest';
import { isAllowed, parseAllowedIssuers } from './allowed-issuers.ts';

const ref = (kind: string, name: string, group = 'cert-manager.io') => ({ kind, name, group });

test.each([
  ['Issuer/*', ref('Issuer', 'any'), true],
  ['Issuer/*', ref('ClusterIssuer', 'any'), false],
  ['Issuer/*', ref('Issuer', 'any', 'other.example.com'), false],
  ['Issuer/*, ClusterIssuer/internal-ca', ref('ClusterIssuer', 'internal-ca'), true],
  ['Issuer/*, ClusterIssuer/internal-ca', ref('ClusterIssuer', 'internal-ca-2'), false],
  [
    'AWSPCAClusterIssuer.awspca.cert-manager.io/prod',
    ref('AWSPCAClusterIssuer', 'prod', 'awspca.cert-manager.io'),
    true,
  ],
  ['AWSPCAClusterIssuer.awspca.cert-manager.io/prod', ref('AWSPCAClusterIssuer', 'prod'), false],
  ['none', ref('Issuer', 'any'), false],
])('%s and %j: %s', (setting, issuer, allowed) => {
  expect(isAllowed(parseAllowedIssuers(setting), issuer)).toBe(allowed);
});

test.each(['*', 'Issuer', 'Issuer/', '/ca', 'Issuer/a/b', 'Issuer /a', 'none,Issuer/*', 'Issuer/ca-*'])(
  '%j is refused, and the message shows the form',
  (setting) => {
    expect(() => parseAllowedIssuers(setting)).toThrow('must be Kind/name with commas between');
  },
);

test.each(['clusterissuer/internal-ca', 'ClusterIssuers/*', 'AWSPCAClusterIssuer/prod'])(
  '%j is refused: it would allow nobody',
  (setting) => {
    expect(() => parseAllowedIssuers(setting)).toThrow('cert-manager.io has the kinds Issuer and ClusterIssuer');
  },
);
