import type { Registry } from '../registry/registry.ts';
import { createAnnouncementRegistry } from './announcements.ts';
import { createAppRegistry, type RegistryOptions } from './app-registry.ts';
import { createTokenRegistry } from './token-registry.ts';

/** The registry in PostgreSQL. */
export function createRegistry(options: RegistryOptions): Registry {
  return { ...createAppRegistry(options), ...createTokenRegistry(options), ...createAnnouncementRegistry(options) };
}
