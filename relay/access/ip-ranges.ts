import type { IpAddress, IpRange } from './ip-address.ts';

/**
 * A set of address blocks. A binary trie, a node per bit that matters: looking an address up takes at most 128 steps, and for IPv4 at most
 * 32 behind the mapped prefix, however many blocks there are. Blocks inside of others vanish in them.
 */
export class IpRanges {
  /** Two numbers per node: its child for 0 and for 1. 0: none (the root is nobody's child). COVERED: everything below is in. */
  readonly #children: Int32Array;
  #empty = true;
  /** A block of no bits at all. */
  #everything = false;

  constructor(ranges: Iterable<IpRange>) {
    const children = [0, 0];
    for (const range of ranges) this.#add(children, range);
    this.#children = Int32Array.from(children);
  }

  get empty(): boolean {
    return this.#empty;
  }

  has(address: IpAddress): boolean {
    let node = 0;
    for (let bit = 0; bit < BITS; bit += 1) {
      const next = this.#children[2 * node + bitOf(address, bit)] ?? 0;
      if (next === COVERED) return true;
      if (next === 0) return this.#everything;
      node = next;
    }
    return false;
  }

  #add(children: number[], { address, prefix }: IpRange): void {
    this.#empty = false;
    if (prefix === 0) {
      this.#everything = true;
      return;
    }
    let node = 0;
    for (let bit = 0; bit < prefix - 1; bit += 1) {
      const slot = 2 * node + bitOf(address, bit);
      const next = children[slot] ?? 0;
      if (next === COVERED) return;
      if (next === 0) {
        node = children.length / 2;
        children.push(0, 0);
        children[slot] = node;
      } else node = next;
    }
    children[2 * node + bitOf(address, prefix - 1)] = COVERED;
  }
}

const BITS = 128;
const COVERED = -1;

/** Bit 0 is the most significant one. */
function bitOf(address: IpAddress, bit: number): 0 | 1 {
  return ((address[bit >> 5] ?? 0) >>> (31 - (bit & 31))) & 1 ? 1 : 0;
}
