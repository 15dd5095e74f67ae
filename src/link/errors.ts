import { AppError } from '../lib/errors';

/** Why a frame or a handshake was not accepted: told to the other side before the socket is closed. */
export type RefusalCode =
  | 'link/bad-signature'
  | 'link/bad-seal'
  | 'link/bad-frame'
  | 'link/blocked'
  | 'link/disconnected'
  | 'link/expired'
  | 'link/flood'
  | 'link/forbidden-ip'
  | 'link/invalid'
  | 'link/malformed'
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
  /** The other side said so; its own code. */
  | { code: 'link/refused'; by: string }
  | { code: 'link/busy' }
  | { code: 'link/unreachable'; url: string }
  | { code: 'link/cut'; reason: string }
  | { code: 'link/unavailable'; sha256: string; reason: string }
  | { code: 'link/corrupt'; sha256: string }
  | { code: 'link/stalled'; sha256: string; offset: number };

/** What is thrown for a frame or a handshake that is not accepted. */
export function refusal(code: RefusalCode, reason: string, cause?: unknown): AppError<LinkError> {
  return new AppError<LinkError>({ code }, reason, { cause });
}

/** The socket ended; whatever was under way on it did not finish. */
export function cut(reason: string, cause?: unknown): AppError<LinkError> {
  return new AppError<LinkError>({ code: 'link/cut', reason }, `The link was cut: ${reason}.`, { cause });
}

/** True for an error of the link with this code. */
export function hasCode(error: unknown, code: LinkError['code']): boolean {
  return error instanceof AppError && error.code === code;
}
