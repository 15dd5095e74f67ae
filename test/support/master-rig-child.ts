/** The master's Python child in a few lines: every answer is a function of files, as the real one's are. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Sha256 } from '../../src/domain/ids';
import { sumOfRates } from '../../src/domain/schedule';
import { AppError } from '../../src/lib/errors';
import { sha256 } from '../../src/lib/hash';
import type { CoordinatorChild } from '../../src/master/coordinator';
import { ResolvedParams } from '../../src/protocol/job-params';
import { CoordinateCommand, TrainCommand, TrainerEvent, type TrainerSpec } from '../../src/protocol/trainer';

type Command = CoordinateCommand | TrainCommand;
type Of<T extends Command['type']> = Extract<Command, { type: T }>;

const AnyCommand = z.union([CoordinateCommand, TrainCommand]);

/** Tokens of a block: the batch of 4 of these jobs, times a context of 16. */
export const BLOCK_TOKENS = 64;
/** Where an update of the rig leads to. */
export function playedEndTheta(theta: string, update: string): Sha256 {
  return Sha256.parse(sha256(`end ${theta} ${update}`));
}

/** What an update begins with that the gate must refuse. */
export const UNSOUND = 'unsound';
/** What an update begins with that makes the model worse, or its loss no number at all. */
export const SPOILING = 'spoiling';
export const RUINOUS = 'ruinous';
const FIRST_WEIGHTS = 'theta 0';
const PREPARED_FILE = 'train.safetensors';

export const childCrash = () => new AppError({ code: 'runner/child-crashed' }, 'The Python child ended (SIGKILL).');

/** By the hash of their shards: a later child knows what an earlier one has cut. */
const cutRanges = new Map<string, { start: number; end: number }>();

/** A child that takes no time. Killed, it crashes whatever it was asked. */
export class PlayedChild implements CoordinatorChild {
  isOpen = true;

  constructor(
    private readonly spec: TrainerSpec,
    /** Blocks that a data set comes to. */
    private readonly epochBlocks: number,
    /** Meets each command with the fault that is planned for it. */
    private readonly met: (command: string, answer: () => unknown) => unknown,
  ) {}

  run: CoordinatorChild['run'] = async (command, answer) => {
    if (!this.isOpen) throw childCrash();
    const parsed = AnyCommand.parse({ ...command, id: 1 });
    const event = TrainerEvent.parse(await this.met(command.type, () => this.answer(parsed)));
    if (!this.isOpen) throw childCrash();
    if (event.type !== answer) throw new Error(`A ${event.type} was no answer to ${command.type}`);
    return event as never;
  };

  async [Symbol.asyncDispose](): Promise<void> {
    this.isOpen = false;
  }

  private async answer(command: Command): Promise<object> {
    return { id: 1, ...(await this.facts(command)) };
  }

  private async facts(command: Command): Promise<object> {
    switch (command.type) {
      case 'prepare':
        return this.prepare(command);
      case 'init':
        return { type: 'initialised', theta: await writeTensor(command.out, FIRST_WEIGHTS), parameters: 1000 };
      case 'cut': {
        const data = await this.readPrepared();
        const shard = await writeTensor(command.out, `${data} ${command.start}-${command.end}`);
        cutRanges.set(shard.sha256, command);
        return { type: 'cut', shard, blocks: command.end - command.start };
      }
      case 'inspect':
        return this.inspect(command);
      case 'fold':
        return fold(command);
      case 'evaluate': {
        await this.readPrepared();
        const text = 'theta' in command.model ? await readFile(command.model.theta, 'utf8') : '';
        if (text.includes(RUINOUS)) throw new AppError({ code: 'model/not-finite' }, 'The loss is not a number.');
        const loss = text === FIRST_WEIGHTS ? 5 : text.includes(SPOILING) ? 9 : 4;
        return { type: 'evaluated', loss, tokens: 64, lossPerByte: loss };
      }
      case 'rehearse':
        return { type: 'rehearsed', loss: 5 };
      case 'export':
        return exportModel(command);
      case 'compare':
        return { type: 'compared', distance: await compare(command) };
      case 'round.run':
        return trainRound(command);
      case 'round.cancel':
      case 'probe.make':
        throw new Error(`The jobs of a master never use ${command.type}`);
    }
  }

  /** What a worker did to its update is the first word of it; the rest is what it was made of. */
  private async inspect({ update, theta, others = [], gain }: Of<'inspect'>): Promise<object> {
    const text = await readFile(update, 'utf8');
    if (text.startsWith(UNSOUND)) return { type: 'inspected', ok: false, norm: 0, reason: 'it is not finite' };
    const madeOf = (whole: string) => whole.replace(/^(changed )+/, '');
    const cosines: number[] = [];
    for (const other of others) {
      cosines.push(madeOf(await readFile(other, 'utf8')) === madeOf(text) ? 0.9999 : 0.1);
    }
    const factor = { zeros: 0, tripled: 3 }[text.split(' ')[0] ?? ''] ?? 1;
    return {
      type: 'inspected',
      ok: true,
      norm: factor * this.normOf(text),
      cosines,
      ...(theta ? { endTheta: playedEndTheta(await readHash(theta), text) } : {}),
      ...(gain ? { gain: text.startsWith('useless') ? -0.2 : 0.5 } : {}),
    };
  }

  /** Updates of a lease are as long as its learning rates make them. */
  private normOf(update: string): number {
    const range = cutRanges.get(update.slice(update.lastIndexOf(' ') + 1));
    const { inner } = ResolvedParams.parse('params' in this.spec ? this.spec.params : undefined);
    return range ? 1000 * sumOfRates(inner, range, this.epochBlocks) : 1;
  }

  private async prepare({ dataset }: Of<'prepare'>): Promise<object> {
    const text = await readFile(dataset, 'utf8');
    await writeFile(join(this.spec.workDir, PREPARED_FILE), text);
    const prepared = {
      vocabSize: 256,
      epochBlocks: this.epochBlocks,
      blockTokens: BLOCK_TOKENS,
      trainTokens: this.epochBlocks * BLOCK_TOKENS,
      validationTokens: 64,
      validationSequences: 4,
      dataRoot: sha256(text),
    };
    return { type: 'prepared', prepared };
  }

  /** What `prepare` wrote, be it of an earlier child. */
  private readPrepared(): Promise<string> {
    return readFile(join(this.spec.workDir, PREPARED_FILE), 'utf8');
  }
}

/** The next weights name everything they were made of, so that the same fold gives the same bytes. */
async function fold(command: Of<'fold'>): Promise<object> {
  const { theta, outer, updates, scale, thetaOut, outerOut, deltaOut } = command;
  const whole = updates.reduce((sum, { weight }) => sum + weight, 0);
  const computed = updates.map(({ weight }) => weight / whole);
  const parts = await Promise.all([theta, ...(outer ? [outer] : []), ...updates.map(({ path }) => path)].map(readHash));
  const sum = sha256(JSON.stringify([parts, command.weights ?? computed, scale]));
  const texts = await Promise.all(updates.map(({ path }) => readFile(path, 'utf8')));
  const faults = [SPOILING, RUINOUS].filter((fault) => texts.some((text) => text.startsWith(fault))).join(' ');
  const { path } = await writeTensor(outerOut, `outer ${sum}`);
  return {
    type: 'folded',
    theta: await writeTensor(thetaOut, `theta ${sum}${faults}`),
    outer: { path },
    delta: await writeTensor(deltaOut, `delta ${sum}`),
    norms: updates.map(() => 1),
    clips: updates.map(() => 1),
    weights: computed,
  };
}

/** Updates of one lease are equal whoever made them, unless they are said to be somebody's noise. */
async function compare({ update, expected }: Of<'compare'>): Promise<number> {
  const [a, b] = await Promise.all([update, expected].map((path) => readFile(path, 'utf8')));
  const anonymous = (text: string | undefined) => text?.replace(/ of \S+/, '');
  return anonymous(a) === anonymous(b) ? 0 : 1;
}

/** What an honest worker would have made of the lease. */
async function trainRound({ shard, theta, out }: Of<'round.run'>): Promise<object> {
  const text = `update of node ${theta.sha256} ${await readHash(shard)}`;
  const facts = { tokens: 1, loss: 5, lossCurve: [5], seconds: 0, endTheta: sha256(`end ${text}`) };
  return { type: 'round.done', ...facts, update: await writeTensor(out, text) };
}

async function exportModel({ theta, directory }: Of<'export'>): Promise<object> {
  await mkdir(directory, { recursive: true });
  // As with the real child, the exported weights are θ itself.
  const model = await writeTensor(join(directory, 'model.safetensors'), await readFile(theta, 'utf8'));
  const config = await writeTensor(join(directory, 'config.json'), '{}');
  const files = [
    { ...model, name: 'model.safetensors' },
    { ...config, name: 'config.json' },
  ];
  return { type: 'exported', files: files.map(({ name, sha256: hash, bytes }) => ({ name, sha256: hash, bytes })) };
}

async function readHash(path: string): Promise<string> {
  return sha256(await readFile(path));
}

/** The master never looks into a tensor, so any text does. */
async function writeTensor(path: string, text: string): Promise<{ path: string; sha256: string; bytes: number }> {
  await writeFile(path, text);
  return { path, sha256: sha256(text), bytes: text.length };
}
