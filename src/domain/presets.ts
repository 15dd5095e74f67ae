/** Ready parameters for the jobs that people bring, as `emeth request --preset` takes them. */

/** What somebody would write for such a job; all of it can be overridden. */
export interface Preset {
  readonly about: string;
  /** Whether a model to start from must be named beside it. */
  readonly needsBase: boolean;
  readonly params: Readonly<Record<string, unknown>>;
}

/**
 * Rates are those usual for adapters and for continued training; the small models train in minutes on a few
 * cores.
 */
export const presets = {
  'chat-lora': {
    about: 'an adapter for a chat model, from messages, prompts or instructions with their answers',
    needsBase: true,
    params: {
      tune: 'lora',
      lora: { r: 16, alpha: 32 },
      model: { context: 1024 },
      data: { loss: 'answers' },
      epochs: 3,
      batch: 16,
      gradientCheckpointing: true,
      round: { steps: 20 },
      inner: { lr: 2e-4, warmup: 0.03, weightDecay: 0 },
    },
  },
  'continue-pretraining': {
    about: 'all weights of a base, trained on with text of your own',
    needsBase: true,
    params: {
      tune: 'full',
      model: { context: 1024 },
      data: { loss: 'all' },
      epochs: 1,
      batch: 16,
      gradientCheckpointing: true,
      inner: { lr: 5e-5, warmup: 0.03 },
    },
  },
  'small-gpt2': {
    about: 'a GPT-2 of some 12 million parameters from scratch',
    needsBase: false,
    params: {
      model: { family: 'gpt2', layers: 6, heads: 6, width: 384, context: 256 },
      tokenizer: { type: 'bpe', vocabSize: 4096 },
      epochs: 2,
      batch: 16,
    },
  },
  'small-llama': {
    about: 'a Llama of some 12 million parameters from scratch',
    needsBase: false,
    params: {
      model: { family: 'llama', layers: 6, heads: 6, width: 384, context: 256 },
      tokenizer: { type: 'bpe', vocabSize: 4096 },
      epochs: 2,
      batch: 16,
    },
  },
} as const satisfies Record<string, Preset>;

export type PresetName = keyof typeof presets;
export const presetNames = Object.keys(presets) as PresetName[];
