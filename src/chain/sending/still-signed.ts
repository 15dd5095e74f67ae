/** What somebody is told who ends a command while its signed transaction is not mined yet. */
import type { Intent } from '../../domain/intent';
import { AppError, errorCode } from '../../lib/errors';
import { lastAttempt } from './intent-store';
import { actOf } from './revert';

export type StillSignedError = { code: 'stopped'; key: string; hash: string };

/**
 * Returns the error of a wait for a signed act. When the wait was stopped, its sentence says that the act
 * still counts, and how to undo it.
 */
export function stillSigned(error: unknown, intent: Intent, undo: string | undefined): unknown {
  if (errorCode(error) !== 'stopped' || !(error instanceof AppError)) return error;
  const { hash } = lastAttempt(intent);
  const remedy = undo === undefined ? 'Run the same command again to see how it ends.' : `Undo it with: ${undo}`;
  return new AppError<StillSignedError>(
    { code: 'stopped', key: intent.key, hash },
    `${error.message} The transaction ${actOf(intent.key)} (${hash}) is signed and still counts: it may be mined at any ` +
      `time, and every later command of this account sends it again. ${remedy}`,
    { cause: error },
  );
}
