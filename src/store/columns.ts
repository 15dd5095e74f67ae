/** Column types and values that every table shares. */
import type { ColumnType } from 'kysely';

/*
 * Ids are text, times integer milliseconds, JSON is text. Amounts are decimal text of wei padded to 78
 * digits: a uint256 fits neither DECIMAL(65) nor SQLite's integers, and padded text sorts as numbers do.
 */

export type Nullable<T> = ColumnType<T | null, T | null | undefined, T | null>;

const WEI_DIGITS = 78;

export function weiToText(wei: bigint): string {
  return wei.toString().padStart(WEI_DIGITS, '0');
}

export function textToWei(text: string): bigint {
  return BigInt(text);
}
