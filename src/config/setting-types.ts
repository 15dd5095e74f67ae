/** Kinds of values that settings of several roles have. */
import { isValid, isValidCIDR } from 'ipaddr.js';
import { z } from 'zod';
import { parseGasPrice } from '../domain/gas';
import { Wei } from '../domain/ids';

/** The address of a server. */
export const httpUrl = z.url({ protocol: /^https?$/, error: 'must be an http:// or https:// address' });
/** A time that fits a timer. */
export const milliseconds = z
  .int()
  .min(1)
  .max(2 ** 31 - 1);
export const port = z.int().min(1).max(65_535);

/** An amount with its default. */
export const wei = (amount: string, text: string) =>
  Wei.prefault(amount).describe(`${text}. Wei, as a string of digits in quotes.`);

/** A price per gas with its default. */
export const gasPrice = (price: string, text: string) =>
  z
    .string()
    .refine((given) => parseGasPrice(given) !== undefined, {
      error: 'must be a price with its unit, such as "500gwei"',
    })
    .transform((given) => parseGasPrice(given) ?? 0n)
    .prefault(price)
    .describe(`${text} With its unit, such as "500gwei".`);

const isRange = (entry: string) => isValid(entry) || isValidCIDR(entry);
const RangeEntry = z.string().refine(isRange, { error: 'must be an IP address or a CIDR range' });
const AllowEntry = z
  .string()
  .refine((entry) => entry === '*' || isRange(entry), { error: 'must be an IP address, a CIDR range or *' });
const oneOrMore = (Entry: z.ZodString, entries: string[]) =>
  z
    .union([Entry, z.array(Entry)])
    .prefault(entries)
    .transform((value) => (typeof value === 'string' ? [value] : value));

/** IP addresses and ranges that may connect. */
export const allowList = (entries: string[], text: string) =>
  oneOrMore(AllowEntry, entries).describe(
    `${text} One address or a list; ranges such as 10.0.0.0/8 and * (everybody) are allowed.`,
  );

/** IP addresses and ranges of somebody in particular. */
export const rangeList = (text: string) =>
  oneOrMore(RangeEntry, []).describe(`${text} One address or a list; ranges such as 10.0.0.0/8 are allowed.`);
