import type { Registry } from '../registry/registry.ts';
import { createAnnouncementRegistry } from './announcements.ts';
import type { RegistryOptions } from './app-change.ts';
import { createAppKeyRegistry } from './app-key-registry.ts';
import { createAppRegistry } from './app-registry.ts';
import { createCertificateRegistry } from './certificate-registry.ts';
import { createTokenRegistry } from './token-registry.ts';

/** The registry in PostgreSQL. */
export function createRegistry(options: RegistryOptions): Registry {
  return {
    ...createAppRegistry(options),
    ...createAppKeyRegistry(options),
    ...createTokenRegistry(options),
    ...createAnnouncementRegistry(options),
    ...createCertificateRegistry(options),
  };
}
