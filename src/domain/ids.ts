/** Ids, addresses, hashes and amounts: the formats that every room parses and compares them in. */
import { z } from 'zod';

// zod only supplies formats and brands here; nothing in domain/ does I/O.

/** A job's id on chain: `0x` and 32 lower-case hex digits (bytes16). */
export const JobId = z
  .string()
  .regex(/^0x[0-9a-fA-F]{32}$/, 'a job id is 0x and 32 hex digits')
  .toLowerCase()
  .brand('JobId');
export type JobId = z.infer<typeof JobId>;

/** An Ethereum address in lower case, the only form that is stored and compared. */
export const Address = z
  .string()
  .regex(/^0x[0-9a-fA-F]{40}$/, 'an address is 0x and 40 hex digits')
  .toLowerCase()
  .brand('Address');
export type Address = z.infer<typeof Address>;

/** A blob's name: its sha256, 64 lower-case hex digits. */
export const Sha256 = z
  .string()
  .regex(/^[0-9a-f]{64}$/, 'a blob is named by 64 lower-case hex digits (its sha256)')
  .brand('Sha256');
export type Sha256 = z.infer<typeof Sha256>;

/** An amount of EMT in wei: a bigint inside, a decimal string on the wire and in files. */
export const Wei = z
  .string()
  .regex(/^(0|[1-9][0-9]{0,77})$/, 'an amount is a decimal string of wei')
  .transform((text) => BigInt(text));

/** 32 bytes as `0x` and 64 hex digits: transaction hashes, Merkle roots, commitments. */
export const Bytes32 = z.string().regex(/^0x[0-9a-f]{64}$/);
export type Bytes32 = z.infer<typeof Bytes32>;
