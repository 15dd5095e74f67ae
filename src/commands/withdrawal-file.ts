import { z } from 'zod';
import { Address, Wei } from '../domain/ids';

/** A signed withdrawal as `emeth withdraw --sign` prints it. */
export const SignedWithdrawalFile = z.strictObject({
  account: Address,
  to: Address,
  amountWei: Wei,
  tipWei: Wei,
  deadline: z.int().min(0),
  signature: z.string().regex(/^0x[0-9a-f]{130}$/),
});
