/** The kinds of base that can be trained; Python has the same list, and a test compares them. */

/** What transformers calls a kind, and whether its output layer is its embedding by default. */
export interface Architecture {
  readonly type: string;
  readonly isTied: boolean;
}

const tied = (type: string): Architecture => ({ type, isTied: true });
const untied = (type: string): Architecture => ({ type, isTied: false });

/** By the name of its class. */
export const architectures: Readonly<Record<string, Architecture>> = {
  GPT2LMHeadModel: tied('gpt2'),
  LlamaForCausalLM: untied('llama'),
  MistralForCausalLM: untied('mistral'),
  Qwen2ForCausalLM: untied('qwen2'),
  Qwen3ForCausalLM: untied('qwen3'),
  GemmaForCausalLM: tied('gemma'),
  Gemma2ForCausalLM: tied('gemma2'),
  Gemma3ForCausalLM: tied('gemma3_text'),
  SmolLM3ForCausalLM: tied('smollm3'),
  PhiForCausalLM: untied('phi'),
  Phi3ForCausalLM: untied('phi3'),
};
