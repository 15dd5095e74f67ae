/** Keeps a process small that moves many bytes and computes little. */
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collect = (options?: { type: 'minor' }) => void;

const LOOK_MS = 50;
/** By then a role has done what it does once. */
const SETTLED_MS = 5000;
/** Memory of buffers that may wait for its collection. */
const GARBAGE_BYTES = 8 * 2 ** 20;

/**
 * Has V8 collect what the start leaves behind, and buffers soon after their use. By itself it lets them pile
 * up: to V8 a buffer is a small object, whatever memory is behind it. Ends when disposed.
 */
export function keepHeapLean(): Disposable {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as Collect;
  let usedBytes = bufferBytes();
  const timer = setInterval(() => {
    usedBytes = Math.min(usedBytes, bufferBytes());
    if (bufferBytes() < usedBytes + GARBAGE_BYTES) return;
    collect({ type: 'minor' });
    usedBytes = bufferBytes();
  }, LOOK_MS).unref();
  const settled = setTimeout(() => collect(), SETTLED_MS).unref();
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
      clearTimeout(settled);
    },
  };
}

/** Memory outside the heap; unlike `process.memoryUsage`, V8 knows it without asking the system. */
function bufferBytes(): number {
  return getHeapStatistics().external_memory;
}
