/** How a command ends: its exit status and what stderr shows of an error. */
import { CommanderError } from 'commander';
import { AppError, describeError, errorCode } from '../lib/errors';

/** Exit statuses of every command. */
export const exitCodes = { ok: 0, failure: 1, usage: 2, notFound: 3, auth: 4, chain: 5, stopped: 130 } as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** The exit status of an error code; the first matching pattern wins. */
const table: readonly (readonly [RegExp, ExitCode])[] = [
  [
    /^(config\/exposed-secret|wallet\/exposed|rpc\/refused|registry\/other-owner|blobs\/(no-access|key-needed)|\w+\/(unauthori[sz]ed|wrong-password|not-allowed))$/,
    exitCodes.auth,
  ],
  [/^(\w+\/not-found|registry\/unknown-node|blobs\/missing|blobs\/not-stored|dataset\/missing)$/, exitCodes.notFound],
  [/^((config|usage|commander|wallet|init|files)\b|store\/(no-data-dir|other-chain)$)/, exitCodes.usage],
  [/^chain\//, exitCodes.chain],
  [/^stopped$/, exitCodes.stopped],
];

/** Returns the exit status for an error. */
export function exitCodeOf(thrown: unknown): ExitCode {
  const error = stopOf(thrown) ?? thrown;
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  const code = errorCode(error);
  return table.find(([pattern]) => pattern.test(code))?.[1] ?? exitCodes.failure;
}

/** Returns what stderr shows of an error: a sentence, or a JSON object. Undefined for help and version. */
export function reportError(thrown: unknown, isJson: boolean): string | undefined {
  const error = stopOf(thrown) ?? thrown;
  // The help of a command line without a command is shown by then, and says all there is to say.
  if (exitCodeOf(error) === exitCodes.ok || errorCode(error) === 'commander.help') return undefined;
  const message = messageOf(error);
  return isJson ? JSON.stringify({ error: { code: errorCode(error), message } }) : `emeth: ${message}`;
}

/** Finds the stop among an error's causes: libraries wrap the reason of an aborted signal. */
function stopOf(error: unknown): unknown {
  for (let e = error; e instanceof Error; e = e.cause) if (errorCode(e) === 'stopped') return e;
  return undefined;
}

/** An AppError is a whole sentence, its causes are for the log. Of other errors every cause is needed. */
function messageOf(error: unknown): string {
  if (error instanceof CommanderError) return usageMessage(error);
  return error instanceof AppError ? error.message : describeError(error);
}

function usageMessage(error: CommanderError): string {
  const message = error.message.replace(/^error: /, '').replaceAll('\n', ' ');
  const isSentence = /[.?]$/.test(message);
  return `${message}${isSentence ? ' Add' : '; add'} --help to see the usage.`;
}
