/** Bloom filters of block headers: which blocks certainly hold no log of a contract. */
import { getBytes, keccak256 } from 'ethers';
import type { Address } from '../../domain/ids';

const BITS = 2048;
/** With this many bits set, one address in 64 seems to be present by chance. */
const MAX_SELECTIVE_BITS = BITS / 4;

/**
 * The bloom of a block's logs (Ethereum Yellow Paper, 4.4.3): 2048 bits in hex; the address of each log sets
 * three of them.
 */
export type Bloom = string;

/**
 * Returns a test of whether a block may hold logs of the address. False is certain, unless the bloom
 * `isBlank`.
 */
export function bloomFilter(address: Address): (bloom: Bloom) => boolean {
  const digest = getBytes(keccak256(address));
  const bits = [0, 2, 4].map((at) => (((digest[at] ?? 0) << 8) | (digest[at + 1] ?? 0)) & (BITS - 1));
  return (bloom) => {
    const bytes = getBytes(bloom);
    return bits.every((bit) => (bytes[255 - (bit >> 3)] ?? 0) & (1 << (bit & 7)));
  };
}

/** True for a block without logs, and for every block of a chain that fills in no blooms. */
export function isBlank(bloom: Bloom): boolean {
  return /^0x0*$/.test(bloom);
}

/** True when so few bits are set that an address which seems to be present most likely is. */
export function isSelective(bloom: Bloom): boolean {
  let set = 0;
  for (const byte of getBytes(bloom)) for (let rest = byte; rest > 0; rest &= rest - 1) set += 1;
  return set <= MAX_SELECTIVE_BITS;
}
