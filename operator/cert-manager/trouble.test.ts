import { expect, test } from 'vitest';
import { troubleOf, type KubernetesRequest } from './trouble.ts';

type Condition = { type: string; status: 'True' | 'False'; reason: string; message: string };
const condition = (type: string, status: 'True' | 'False', reason: string, message: string): Condition => ({
  type,
  status,
  reason,
  message,
});
const request = (revision: string, ...conditions: Condition[]): KubernetesRequest => ({
  metadata: {
    name: `billing-${revision}`,
    uid: revision,
    annotations: { 'cert-manager.io/certificate-revision': revision },
  },
  status: { conditions },
});
const certificate = (revision: number | undefined, ...conditions: Condition[]) => ({
  status: { ...(revision === undefined ? {} : { revision }), conditions } as never,
});
const missing = condition('Ready', 'False', 'DoesNotExist', 'Issuing certificate as Secret does not exist');
const issuing = condition('Issuing', 'True', 'DoesNotExist', 'Issuing certificate as Secret does not exist');
const gone = condition(
  'Issuing',
  'False',
  'Failed',
  'The certificate request has failed to complete and will be retried: no',
);
const noIssuer = condition(
  'Ready',
  'False',
  'Pending',
  'Referenced "Issuer" not found: issuer.cert-manager.io "ca" not found',
);

test.each([
  ['nothing is known yet', certificate(undefined), [], null],
  ['it is ready', certificate(1, condition('Ready', 'True', 'Ready', 'up to date')), [request('1')], null],
  ['it was just made', certificate(undefined, missing, issuing), [], { failed: false, message: missing.message }],
  [
    'its issuer is missing: the request says so',
    certificate(undefined, missing, issuing),
    [request('1', noIssuer)],
    { failed: false, message: noIssuer.message },
  ],
  [
    'a policy denied it',
    certificate(undefined, missing, gone),
    [
      request(
        '1',
        condition('Denied', 'True', 'policy', 'not by this team'),
        condition('Ready', 'False', 'Denied', 'x'),
      ),
    ],
    { failed: true, message: 'not by this team' },
  ],
  [
    'the issuer refused',
    certificate(undefined, missing, issuing),
    [request('1', condition('Ready', 'False', 'Failed', 'the CA said no'))],
    { failed: true, message: 'the CA said no' },
  ],
  [
    'it failed, and its request is gone',
    certificate(undefined, missing, gone),
    [],
    { failed: true, message: gone.message },
  ],
  [
    'what an earlier request said is history',
    certificate(1, condition('Ready', 'True', 'Ready', 'up to date')),
    [request('1', condition('Ready', 'False', 'Failed', 'old'))],
    null,
  ],
  [
    'the renewal failed while the former certificate is still good',
    certificate(1, condition('Ready', 'True', 'Ready', 'up to date'), gone),
    [request('1')],
    { failed: true, message: gone.message },
  ],
])('%s', (_, seen, requests, expected) => {
  expect(troubleOf(seen, requests)).toEqual(expected);
});
