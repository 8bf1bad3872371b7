import type { ClientCertificate } from './client-certificate.ts';
import type { RelayApp } from './relay-app.ts';
import type { RelayToken } from './relay-token.ts';

/** An object of any kind of this API group. */
export type RelayObject = RelayApp | RelayToken | ClientCertificate;
export type RelayKind = RelayObject['kind'];
