/** The error class of the project, and what logs and terminals show of any thrown value. */
/**
 * The one error class of the project. `detail` is the machine-readable part: a code of the form
 * `room/reason` and the values that failed; `message` is one sentence for a person that names the value
 * and the remedy. Each room exports its details as one union, e.g. `StoreError = {code: 'store/…'; …}`.
 */
export class AppError<D extends { code: string } = { code: string }> extends Error {
  override readonly name = 'AppError';

  constructor(
    readonly detail: D,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }

  get code(): D['code'] {
    return this.detail.code;
  }
}

/** The code of any thrown value: an `AppError`'s own, Node's `code` (`ECONNREFUSED`), or `unknown`. */
export function errorCode(error: unknown): string {
  if (error instanceof AppError) return error.detail.code;
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : 'unknown';
}

/** One line for logs and terminals: the message, then the messages of its causes that add something. */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  for (let e: unknown = error; e instanceof Error && parts.length < 4; e = e.cause) {
    const code = errorCode(e);
    // An AggregateError of a refused connection has an empty message; its code says what happened.
    const text = e.message || code;
    if (!parts.some((p) => p.includes(text))) parts.push(text);
  }
  return parts.length > 0 ? parts.join(': ') : String(error);
}

/** Ends a switch over a closed union, so that a new member fails to compile until it is handled. */
export function never(value: never): never {
  throw new Error(`Unreachable: ${JSON.stringify(value)}`);
}
