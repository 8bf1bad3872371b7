import type { IpAddress, IpRange } from './ip-address.ts';

/**
 * A set of address blocks. A binary trie, a node per bit that matters: looking an address up takes at most 128 steps, and for IPv4 at most
 * 32, however many blocks there are. Blocks inside of others vanish in them.
 */
export class IpRanges {
  /** Two numbers per node: its child for 0 and for 1. 0: none (the root is nobody's child). COVERED: everything below is in. */
  readonly #children: Int32Array;
  #empty = true;
  /** A block of no bits at all. */
  #everything = false;
  /** Where the walk of an IPv4 address begins, behind the prefix that they all have: a node, or what a child may be besides. */
  readonly #mapped: number;

  constructor(ranges: Iterable<IpRange>) {
    const children = [0, 0];
    for (const range of ranges) this.#add(children, range);
    this.#children = Int32Array.from(children);
    this.#mapped = this.#walk(0, [0, 0, MAPPED_WORD, 0], 0, MAPPED_BITS);
  }

  get empty(): boolean {
    return this.#empty;
  }

  has(address: IpAddress): boolean {
    const isMapped = address[0] === 0 && address[1] === 0 && address[2] === MAPPED_WORD;
    const end = isMapped ? this.#walk(this.#mapped, address, MAPPED_BITS, BITS) : this.#walk(0, address, 0, BITS);
    return end === COVERED || this.#everything;
  }

  /** From a node over these bits of the address. COVERED: a block has it; NONE: no block goes on there. */
  #walk(from: number, address: IpAddress, first: number, last: number): number {
    let node = from;
    for (let bit = first; bit < last && node >= 0; bit += 1) {
      const next = this.#children[2 * node + bitOf(address, bit)] ?? 0;
      node = next === 0 ? NONE : next;
    }
    return node;
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
/** Of IPv4-mapped addresses (RFC 4291, 2.5.5.2). */
const MAPPED_BITS = 96;
const MAPPED_WORD = 0xffff;
const COVERED = -1;
const NONE = -2;

/** Bit 0 is the most significant one. */
function bitOf(address: IpAddress, bit: number): 0 | 1 {
  return ((address[bit >> 5] ?? 0) >>> (31 - (bit & 31))) & 1 ? 1 : 0;
}
