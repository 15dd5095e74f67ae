/** Takes what a stream brings, piece by piece as it came. */
import { finished, type Readable } from 'node:stream';

/**
 * Calls `take` for each piece, one after the other. Iterating over a stream joins the pieces that wait, which
 * copies them all. Rejects with the first failure once no call is under way: of `take`, or what `broken`
 * makes of the stream's own. The stream then stays open, and paused.
 */
export function takePieces(
  stream: Readable,
  take: (piece: Uint8Array) => Promise<void>,
  broken: (error: unknown) => unknown = (error) => error,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let taking = Promise.resolve();
    const onPiece = (piece: Uint8Array) => {
      stream.pause();
      taking = take(piece).then(() => void stream.resume(), fail);
    };
    const stop = () => {
      stopWatching();
      // A stream that nobody reads any more may still fail.
      stream.off('data', onPiece).on('error', () => undefined);
    };
    const fail = (error: unknown) => {
      stop();
      reject(error);
    };
    const stopWatching = finished(stream, { writable: false }, (error) => {
      stop();
      void taking.then(() => (error ? reject(broken(error)) : resolve()));
    });
    stream.on('data', onPiece);
  });
}
