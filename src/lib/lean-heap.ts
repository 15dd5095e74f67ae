/** Keeps a process small that moves many bytes and computes little. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** By then a role has done what it does once. */
const SETTLED_MS = 5000;

/**
 * Has V8 prefer little memory to speed. To be called before anything large is loaded: a young generation that
 * has grown stays large.
 */
export function preferSmallHeap(): void {
  setFlagsFromString('--optimize-for-size');
  setFlagsFromString('--semi-space-growth-factor=1');
  // There is too little in it for several threads, which a busy machine lets wait for each other.
  setFlagsFromString('--no-parallel-scavenge');
}

/** Has V8 collect what the start leaves behind. */
export function collectAfterStart(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  setTimeout(collect, SETTLED_MS).unref();
}
