/** Streams taken piece by piece. */
import { PassThrough, Readable } from 'node:stream';
import { takePieces } from '../../../src/lib/take-pieces';

test('pieces that wait while one is taken: not joined, and in their order', async () => {
  const stream = new PassThrough();
  for (const text of ['Call', 'me', 'Ishmael']) stream.write(text);
  stream.end();
  const taken: string[] = [];
  await takePieces(stream, async (piece) => {
    await new Promise(setImmediate);
    taken.push(String(piece));
  });
  expect(taken).toEqual(['Call', 'me', 'Ishmael']);
});

test('piece that cannot be taken: no further one, and the stream stays open', async () => {
  const stream = new PassThrough();
  stream.write('Call');
  stream.write('me');
  const taken: string[] = [];
  const failing = takePieces(stream, async (piece) => {
    taken.push(String(piece));
    throw new Error('full');
  });
  await expect(failing).rejects.toThrow('full');
  expect(stream.destroyed).toBe(false);
  stream.destroy(new Error('later'));
  await new Promise(setImmediate);
  expect(taken).toEqual(['Call']);
});

test('stream that breaks while a piece is taken: told afterwards, as the caller says', async () => {
  const stream = new Readable({ read() {} });
  stream.push('Call');
  let isTaken = false;
  const failing = takePieces(
    stream,
    async () => {
      stream.destroy(new Error('cut'));
      for (let turn = 0; turn < 3; turn += 1) await new Promise(setImmediate);
      isTaken = true;
    },
    (error) => new Error(`broken: ${(error as Error).message}`),
  );
  await expect(failing).rejects.toThrow('broken: cut');
  expect(isTaken).toBe(true);
});
