/** The codecs that updates and deltas travel in, and how large they are. */

/** From the largest to the smallest; `python/emeth/files/codecs` says what their bytes mean. */
export const codecs = ['fp32', 'bf16', 'int8', 'int4', 'int2', 'sparse'] as const;
export type Codec = (typeof codecs)[number];

/** So many numbers share a scale; in `sparse` 4,096 do, of which it keeps 64. */
export const BLOCK = 256;

/** Bytes of a number, scales and places included. */
export const CODEC_BYTES: Readonly<Record<Codec, number>> = {
  fp32: 4,
  bf16: 2,
  int8: 1 + 4 / BLOCK,
  int4: 1 / 2 + 2 / BLOCK,
  int2: 1 / 4 + 4 / BLOCK,
  sparse: (64 + 16 + 16 + 4) / 4096,
};
