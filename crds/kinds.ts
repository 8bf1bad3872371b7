import type { z } from 'zod';
import { clientCertificateSpec, clientCertificateStatus, clientCertificateTransitions } from './client-certificate.ts';
import type { RelayKind } from './relay-object.ts';
import { relayAppSpec, relayAppStatus, relayAppTransitions } from './relay-app.ts';
import { relayTokenSpec, relayTokenStatus, relayTokenTransitions } from './relay-token.ts';
import type { TransitionRule } from './transition-rule.ts';

export type PrinterColumn = {
  readonly name: string;
  readonly type: 'string' | 'date' | 'integer';
  readonly jsonPath: string;
  readonly description: string;
  /** 0 is shown by `kubectl get`, 1 only with `-o wide`. */
  readonly priority?: 0 | 1;
};

export type KindDefinition<Spec = unknown> = {
  readonly kind: RelayKind;
  readonly plural: string;
  readonly shortName: string;
  readonly description: string;
  readonly spec: z.ZodType<Spec>;
  readonly status: z.ZodType;
  readonly transitions: readonly TransitionRule<Spec>[];
  readonly columns: readonly PrinterColumn[];
};

const ready: PrinterColumn = {
  name: 'Ready',
  type: 'string',
  jsonPath: '.status.conditions[?(@.type=="Ready")].status',
  description: 'The operator has done its part.',
};
const enforced: PrinterColumn = {
  name: 'Enforced',
  type: 'string',
  jsonPath: '.status.conditions[?(@.type=="Enforced")].status',
  description: 'Every live relay replica acknowledged it.',
};
const age: PrinterColumn = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'Time since creation.',
};
const reason: PrinterColumn = {
  name: 'Reason',
  type: 'string',
  jsonPath: '.status.conditions[?(@.type=="Ready")].reason',
  description: 'Why it is ready, or not.',
  priority: 1,
};

export const RELAY_APP: KindDefinition<z.infer<typeof relayAppSpec>> = {
  kind: 'RelayApp',
  plural: 'relayapps',
  shortName: 'ra',
  description: 'A tenant of the relay: an app id, its keys, and what its clients may do.',
  spec: relayAppSpec,
  status: relayAppStatus,
  transitions: relayAppTransitions,
  columns: [
    { name: 'App Id', type: 'string', jsonPath: '.status.appId', description: 'The id in API paths.' },
    ready,
    enforced,
    {
      name: 'Rotates',
      type: 'string',
      jsonPath: '.status.rotation.next',
      description: 'When key and secret are replaced.',
    },
    age,
    {
      name: 'Display Name',
      type: 'string',
      jsonPath: '.spec.displayName',
      description: 'Its name for people.',
      priority: 1,
    },
    {
      name: 'Key',
      type: 'string',
      jsonPath: '.status.key',
      description: 'The public key that clients connect with.',
      priority: 1,
    },
    reason,
  ],
};

export const RELAY_TOKEN: KindDefinition<z.infer<typeof relayTokenSpec>> = {
  kind: 'RelayToken',
  plural: 'relaytokens',
  shortName: 'rt',
  description: 'A bearer token for the HTTP API of one RelayApp.',
  spec: relayTokenSpec,
  status: relayTokenStatus,
  transitions: relayTokenTransitions,
  columns: [
    { name: 'App', type: 'string', jsonPath: '.spec.appRef.name', description: 'The RelayApp that it belongs to.' },
    ready,
    enforced,
    {
      name: 'Rotates',
      type: 'string',
      jsonPath: '.status.rotation.next',
      description: 'When the next token takes its place.',
    },
    { name: 'Expires', type: 'string', jsonPath: '.status.expiresAt', description: 'When it stops working.' },
    age,
    {
      name: 'Token',
      type: 'string',
      jsonPath: '.status.tokenId',
      description: 'The public part of the token.',
      priority: 1,
    },
    reason,
  ],
};

export const CLIENT_CERTIFICATE: KindDefinition<z.infer<typeof clientCertificateSpec>> = {
  kind: 'ClientCertificate',
  plural: 'clientcertificates',
  shortName: 'rcc',
  description: 'A client certificate that opens one RelayApp over mutual TLS.',
  spec: clientCertificateSpec,
  status: clientCertificateStatus,
  transitions: clientCertificateTransitions,
  columns: [
    { name: 'App', type: 'string', jsonPath: '.spec.appRef.name', description: 'The RelayApp that it opens.' },
    ready,
    enforced,
    { name: 'Expires', type: 'string', jsonPath: '.status.expiresAt', description: 'When it stops working.' },
    age,
    reason,
  ],
};

export const KINDS: readonly KindDefinition[] = [RELAY_APP, RELAY_TOKEN, CLIENT_CERTIFICATE];
