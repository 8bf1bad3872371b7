import { MemoryWorld } from '#test/integration/relay/memory-relay.ts';

// The relay that is measured: everything that relay/main.ts runs (gate, API, protocol, fan-out, webhooks, usage, metrics), with one app put
// into its directory by hand and with the in-memory links of standalone instead of Redis. Prints `listening PORT`.

const world = new MemoryWorld();
await world.directory.setApp();
const relay = await world.relay();
process.stdout.write(`listening ${relay.port}\n`);
