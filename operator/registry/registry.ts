import type { AnnouncementRegistry } from './announcement-registry.ts';
import type { AppKeyRegistry } from './app-key-registry.ts';
import type { AppRegistry } from './app-registry.ts';
import type { CertificateRegistry } from './certificate-registry.ts';
import type { TokenRegistry } from './token-registry.ts';

/**
 * The durable truth (PostgreSQL). Every method that changes something is one transaction: registry rows, audit row and outbox row, fenced
 * by the directory's term. Identity is (installation, namespace, name); the installation belongs to the implementation.
 */
export interface Registry
  extends AppRegistry, AppKeyRegistry, TokenRegistry, CertificateRegistry, AnnouncementRegistry {}
