/** The jobs that the demo can have done: what each requests, and how its result is tried. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { DemoBase } from './base';
import { writeMobyDick } from './moby-dick';

export type DemoJobName = 'text' | 'chat';

/** Runs a command of this program as the requester, and returns its JSON answer. */
export type AsRequester = (args: readonly string[], input?: string) => Promise<unknown>;

export interface DemoJob {
  readonly loadedBy: string;
  /** Makes what takes long. */
  ready(): Promise<unknown>;
  /** Returns what is requested; the master is running. */
  prepare(run: AsRequester): Promise<{ dataset: string; params: object }>;
  /** Lets the model in this directory write. */
  tryModel(run: AsRequester, modelDir: string): Promise<string>;
}

export interface TextJobOptions {
  dir: string;
  workers: number;
  dataset?: string | undefined;
  rounds?: number | undefined;
}

const BATCH = 8;
const CONTEXT = 128;
const STEPS = 50;
const VALIDATION = 0.07;
const EPOCHS = 2;
const SAMPLE_TOKENS = 200;

/** A small GPT-2 from scratch on a text of the user, or on Moby-Dick. */
export function textJob(options: TextJobOptions): DemoJob {
  return {
    loadedBy: 'loads with AutoModelForCausalLM.from_pretrained',
    async ready() {
      if (options.dataset !== undefined) await readFile(options.dataset);
    },
    async prepare() {
      const dataset = options.dataset ?? (await writeMobyDick(options.dir));
      return { dataset, params: await textParams(options, dataset) };
    },
    async tryModel(run, modelDir) {
      const args = [
        '--prompt',
        'The whale',
        '--max-tokens',
        String(SAMPLE_TOKENS),
        '--temperature',
        '0.8',
        '--seed',
        '1',
      ];
      return Written.parse(await run(['generate', modelDir, ...args])).text;
    },
  };
}

/** Translates `rounds` into passes over the training part, with rounds of 50 steps per worker. */
async function textParams({ rounds, workers }: TextJobOptions, dataset: string): Promise<object> {
  const { size } = await stat(dataset);
  const epochBlocks = Math.max(1, (size * (1 - VALIDATION)) / (BATCH * CONTEXT));
  const epochs = rounds === undefined ? EPOCHS : (rounds * workers * STEPS) / epochBlocks;
  return { batch: BATCH, epochs: Math.round(epochs * 1e4) / 1e4, round: { steps: STEPS } };
}

const CHATS = join(__dirname, '..', '..', 'examples', 'emeth-chat.jsonl');
const QUESTIONS = ['What is a lease?', 'How do I get my model?', 'What is LoRA?'];
const ROUND_STEPS = 40;
const CHAT_EPOCHS = 200;
/** About as many blocks as a pass over the conversations has. */
const CHAT_BLOCKS = 6;
/** Few tokens for a vocabulary of 512; the end token follows each answer. */
const TEMPLATE =
  "{% for m in messages %}{% if m['role'] == 'assistant' %}{{ 'A:\\n' + m['content'] + eos_token + '\\n' }}" +
  "{% else %}{{ 'Q:\\n' + m['content'] + '\\n' }}{% endif %}{% endfor %}" +
  "{% if add_generation_prompt %}{{ 'A:\\n' }}{% endif %}";

export interface ChatJobOptions {
  openBase(): Promise<DemoBase>;
  workers: number;
  rounds?: number | undefined;
}

/** An adapter on a small base, from conversations about this program. */
export function chatJob({ openBase, ...options }: ChatJobOptions): DemoJob {
  return {
    loadedBy: 'an adapter; loads with PeftModel.from_pretrained',
    ready: openBase,
    async prepare(run) {
      const { directory } = await openBase();
      const { reference } = Put.parse(await run(['put', directory]));
      return { dataset: CHATS, params: chatParams(reference, options) };
    },
    async tryModel(run, modelDir) {
      const { directory } = await openBase();
      const lines: string[] = [];
      for (const question of QUESTIONS) {
        const args = ['--base', directory, '--chat', '--temperature', '0', '--max-tokens', '60'];
        const { content } = Answer.parse(await run(['generate', modelDir, ...args], `${question}\n`));
        lines.push(`> ${question}`, content.trim());
      }
      return lines.join('\n');
    },
  };
}

function chatParams(base: string, { rounds, workers }: { rounds?: number | undefined; workers: number }): object {
  const epochs = rounds === undefined ? CHAT_EPOCHS : (rounds * workers * ROUND_STEPS) / CHAT_BLOCKS;
  return {
    tune: 'lora',
    base,
    model: { context: CONTEXT },
    lora: { r: 64, alpha: 128, targets: ['c_attn', 'c_proj', 'c_fc'] },
    data: { template: TEMPLATE },
    batch: BATCH,
    epochs,
    round: { steps: ROUND_STEPS },
    inner: { lr: 4e-3, weightDecay: 0 },
  };
}

const Written = z.object({ text: z.string() });
const Put = z.object({ reference: z.string() });
const Answer = z.object({ content: z.string() });
