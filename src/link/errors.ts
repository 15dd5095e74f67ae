/** Every error code of the link, and the functions that make such errors. */
import { AppError } from '../lib/errors';

/** Why a frame or a handshake was refused; sent to the other side before the socket is closed. */
export type RefusalCode =
  | 'link/bad-signature'
  | 'link/bad-seal'
  | 'link/bad-frame'
  | 'link/blocked'
  | 'link/disconnected'
  | 'link/expired'
  | 'link/flood'
  | 'link/forbidden-ip'
  | 'link/in-use'
  | 'link/invalid'
  | 'link/malformed'
  | 'link/no-upgrade'
  | 'link/out-of-order'
  | 'link/oversized'
  | 'link/overrun'
  | 'link/replaced'
  | 'link/slow-handshake'
  | 'link/subprotocol'
  | 'link/unknown-type'
  | 'link/version'
  | 'link/wrong-chain'
  | 'link/wrong-master';

export type LinkError =
  | { code: RefusalCode }
  /** The other side refused; `by` is its code. */
  | { code: 'link/refused'; by: string }
  | { code: 'link/busy' }
  | { code: 'link/unreachable'; url: string }
  | { code: 'link/cut'; reason: string }
  | { code: 'link/unavailable'; sha256: string; reason: string }
  | { code: 'link/corrupt'; sha256: string }
  | { code: 'link/stalled'; sha256: string; offset: number };

/** The error to throw when a frame or a handshake is refused. */
export function refusal(code: RefusalCode, reason: string, cause?: unknown): AppError<LinkError> {
  return new AppError<LinkError>({ code }, reason, { cause });
}

/** The error of everything that was in flight on a socket when it closed. */
export function cut(reason: string, cause?: unknown): AppError<LinkError> {
  return new AppError<LinkError>({ code: 'link/cut', reason }, `The link was cut: ${reason}.`, { cause });
}

/** Whether this is an `AppError` with this code. */
export function hasCode(error: unknown, code: LinkError['code']): boolean {
  return error instanceof AppError && error.code === code;
}
