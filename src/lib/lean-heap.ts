/** Keeps a process small that moves many bytes and computes little. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collect = (options?: { type: 'minor' }) => void;

const LOOK_MS = 50;
/** By then a role has done what it does once. */
const SETTLED_MS = 5000;
/** Memory of buffers that may wait for its collection. */
const GARBAGE_BYTES = 8 * 2 ** 20;

/**
 * Keeps V8's young generation as small as it is. To be called before anything large is loaded: one that has
 * grown stays large.
 */
export function keepYoungHeapSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}

/**
 * Has V8 collect what the start leaves behind, and buffers soon after their use. By itself it lets them pile
 * up: to V8 a buffer is a small object, whatever memory is behind it. Ends when disposed.
 */
export function keepHeapLean(): Disposable {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as Collect;
  let usedBytes = process.memoryUsage().arrayBuffers;
  const timer = setInterval(() => {
    const { arrayBuffers } = process.memoryUsage();
    usedBytes = Math.min(usedBytes, arrayBuffers);
    if (arrayBuffers < usedBytes + GARBAGE_BYTES) return;
    collect({ type: 'minor' });
    usedBytes = process.memoryUsage().arrayBuffers;
  }, LOOK_MS).unref();
  const settled = setTimeout(() => collect(), SETTLED_MS).unref();
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
      clearTimeout(settled);
    },
  };
}
