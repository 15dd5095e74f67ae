#!/bin/sh
# peft 0.21.0, transformers 5.18.0, torch 2.13.0
#
# LoRA on the embedding of a model whose output head is tied to it: while it trains, the head keeps the old
# weights; merging adds the change to the one tensor that both share, so that the merged model is another one than
# the adapter was trained and measured as. peft knows and warns, but it recognises embeddings by the names
# embed_tokens and lm_head. GPT-2's wte, GPT-NeoX's embed_in and BLOOM's word_embeddings are not among them:
# get_peft_model, save_pretrained and merge_and_unload say nothing at all.
#
# Seen for models of one layer, LoRA on one attention matrix and the embedding, greedy tokens of adapter and
# merged model:
#   Llama (embed_tokens)        differ, warnings that name the tie
#   GPT-2 (wte)                 differ, no warning of it
#   GPT-NeoX (embed_in)         differ, no warning of it
#   BLOOM (word_embeddings)     differ, no warning of it
# The script fails when that changes.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.18.0 peft==0.21.0 numpy==2.4.6
cat > look.py <<'PY'
import warnings

import torch
import transformers
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, BloomConfig, GPT2Config, GPTNeoXConfig, LlamaConfig

transformers.logging.set_verbosity_error()
SHAPE = {"vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
WIDE = SHAPE | {"intermediate_size": 32, "tie_word_embeddings": True, "bos_token_id": 0, "eos_token_id": 0}
CASES = [
    (LlamaConfig(**WIDE), ["q_proj", "embed_tokens"]),
    (GPT2Config(vocab_size=64, n_embd=16, n_layer=1, n_head=2, n_positions=32, bos_token_id=0, eos_token_id=0), ["c_attn", "wte"]),
    (GPTNeoXConfig(**WIDE), ["query_key_value", "embed_in"]),
    (BloomConfig(vocab_size=64, hidden_size=16, n_layer=1, n_head=2), ["query_key_value", "word_embeddings"]),
]


def look(config, targets):
    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_config(config).eval()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = get_peft_model(base, LoraConfig(r=2, target_modules=targets)).eval()
        for tensor in model.parameters():
            if tensor.requires_grad:
                tensor.data.normal_(0, 0.3)
        ids = torch.randint(0, 64, (1, 8))
        before = model(ids).logits
        model.save_pretrained("adapter")
        after = model.merge_and_unload()(ids).logits
    told = [str(warning.message) for warning in caught if "tie" in str(warning.message)]
    equal = bool((before.argmax(-1) == after.argmax(-1)).all())
    print(f"  {config.model_type}: merged model {'equal' if equal else 'differs'}, warnings of the tie: {len(told)}")
    return [equal, bool(told)]


seen = [look(*case) for case in CASES]
raise SystemExit(0 if seen == [[False, True]] + 3 * [[False, False]] else 1)
PY
venv/bin/python look.py && echo "as described" || { echo "it behaves otherwise now"; exit 1; }
