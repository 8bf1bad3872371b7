import { BlockList, isIP } from 'node:net';

/**
 * Which addresses webhooks may be sent to. Tenants choose the URLs, so without this any of them could have the relay call the API server,
 * another tenant's pods or a cloud's metadata service (SSRF). Allowed is what IANA's special-purpose registries (RFC 6890 and successors)
 * leave as globally reachable unicast, less the one metadata service that has a public address; everything else only if the platform says so.
 */
export type AddressPolicy = {
  /** Is the host itself opened by name? Then its addresses do not matter. */
  allowsHost(host: string): boolean;
  /** @param address an IP address, as a resolver or `URL.hostname` (without brackets) writes it. */
  allowsAddress(address: string): boolean;
};

const PRIVATE_V4 = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const;

/** Azure's WireServer: to every virtual machine of that cloud its host, which hands out configuration and certificates, and routed nowhere else. */
const METADATA_V4 = '168.63.129.16';

/** Inside 2000::/3, the only block that is global unicast: protocol assignments with Teredo, documentation, 6to4. */
const SPECIAL_V6 = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const;

/** RELAY_WEBHOOK_ALLOW, parsed. */
export type AllowedAddresses = { readonly networks: BlockList; readonly hosts: readonly string[] };

const HOST = /^\.?([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?$/;

/**
 * Reads a list separated by commas or blanks: addresses, CIDRs, host names, and `.suffix` for every host below a domain. Throws an Error that
 * names the item that is none of these.
 */
export function parseAllowed(text: string): AllowedAddresses {
  const networks = new BlockList();
  const hosts: string[] = [];
  for (const item of text.split(/[\s,]+/).filter((part) => part !== '')) {
    const [address = '', bits, ...rest] = item.split('/');
    const version = isIP(address);
    const length = bits === undefined ? (version === 4 ? 32 : 128) : Number(bits);
    const isNetwork = version !== 0 && rest.length === 0 && /^\d{1,3}$/.test(bits ?? '0');
    if (isNetwork && length <= (version === 4 ? 32 : 128) && !address.includes('%')) {
      networks.addSubnet(address, length, version === 4 ? 'ipv4' : 'ipv6');
    } else if (HOST.test(item.toLowerCase()) && !/^[0-9.]+$/.test(item)) {
      hosts.push(item.toLowerCase());
    } else {
      throw new Error(`${item} is no address, no CIDR, no host name and no .suffix`);
    }
  }
  return { networks, hosts };
}

export function addressPolicy(allowed: AllowedAddresses): AddressPolicy {
  const special = new BlockList();
  for (const [address, bits] of PRIVATE_V4) special.addSubnet(address, bits, 'ipv4');
  for (const [address, bits] of SPECIAL_V6) special.addSubnet(address, bits, 'ipv6');
  special.addAddress(METADATA_V4, 'ipv4');
  const globalUnicast = new BlockList();
  globalUnicast.addSubnet('2000::', 3, 'ipv6');

  return {
    allowsHost: (host) => {
      const name = host.toLowerCase().replace(/\.$/, '');
      return allowed.hosts.some((one) => (one.startsWith('.') ? name.endsWith(one) : name === one));
    },
    allowsAddress: (address) => {
      const inner = embeddedV4(address) ?? address;
      const version = isIP(inner);
      if (version === 0) return false;
      const family = version === 4 ? 'ipv4' : 'ipv6';
      if (inner.includes('%')) return false;
      if (allowed.networks.check(inner, family)) return true;
      return !special.check(inner, family) && (version === 4 || globalUnicast.check(inner, family));
    },
  };
}

/**
 * The IPv4 address that an IPv6 address leads to: IPv4-mapped (::ffff:0:0/96), or translated by the well-known NAT64 prefix (64:ff9b::/96),
 * with which networks that have only IPv6 reach the rest of the world. Else undefined.
 */
function embeddedV4(address: string): string | undefined {
  if (isIP(address) !== 6 || address.includes('%')) return undefined;
  // The URL parser writes every spelling of an address in one form: no dotted end, no leading zeros.
  const plain = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const low = /^(?:::ffff|64:ff9b:):(?:([0-9a-f]{1,4}):)?([0-9a-f]{1,4})$/.exec(plain);
  if (low === null) return undefined;
  const high = Number.parseInt(low[1] ?? '0', 16);
  const rest = Number.parseInt(low[2] ?? '0', 16);
  return [high >> 8, high & 255, rest >> 8, rest & 255].join('.');
}
