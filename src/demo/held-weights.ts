/** The weights a worker's child holds, so that a forged update can be said to lead where it does lead. */
import type { Codec } from '../domain/codec';
import { sha256 } from '../lib/hash';
import type { Trainer } from '../runner/trainer';
import { readTensors, type Tensor, tensorFile } from './tensor-files';
import { codecParts, decodeNumbers, floatsOf } from './update-codecs';

type ThetaSource = Extract<Parameters<Trainer['run']>[0], { type: 'round.run' }>['theta'];
type Weights = ReadonlyMap<string, { shape: readonly number[]; values: Float32Array }>;

/** Follows θ from round to round as the real child does, in the same 32-bit arithmetic. */
export class HeldWeights {
  private weights: Weights = new Map();
  private held = '';

  constructor(private readonly codec: Codec) {}

  /** Makes θ the held one; one that is held already names no file. */
  async follow(theta: ThetaSource): Promise<void> {
    if (theta.sha256 === this.held) return;
    if ('path' in theta) {
      const tensors = await readTensors(theta.path);
      this.weights = new Map(tensors.map(({ name, shape, bytes }) => [name, { shape, values: floatsOf(bytes) }]));
    } else this.weights = await this.plus(theta.delta, 1);
    this.held = theta.sha256;
    if (hashOf(this.weights) !== this.held) throw new Error(`θ ${this.held} was not reached`);
  }

  /** Names and shapes of the model. */
  get shapes(): { name: string; shape: readonly number[] }[] {
    return [...this.weights].map(([name, { shape }]) => ({ name, shape }));
  }

  /** The name of the weights that an update leads to. */
  async endTheta(update: string): Promise<string> {
    return hashOf(await this.plus(update, -1));
  }

  private async plus(path: string, sign: 1 | -1): Promise<Weights> {
    const encoded = new Map((await readTensors(path)).map(({ name, bytes }) => [name, bytes]));
    return new Map(
      [...this.weights].map(([name, { shape, values }]) => {
        const parts = codecParts[this.codec].map(({ suffix }) => [suffix, encoded.get(name + suffix)] as const);
        const bytes = Object.fromEntries(parts.flatMap(([suffix, bytes]) => (bytes ? [[suffix, bytes]] : [])));
        const step = decodeNumbers(this.codec, bytes, values.length);
        return [name, { shape, values: values.map((value, i) => value + sign * (step[i] ?? 0)) }];
      }),
    );
  }
}

function hashOf(weights: Weights): string {
  const tensors = [...weights].map(([name, { shape, values }]): Tensor => {
    return { name, dtype: 'F32', shape, bytes: Buffer.from(values.buffer) };
  });
  return sha256(tensorFile(tensors));
}
