#!/bin/sh
# transformers 5.18.0, torch 2.13.0
#
# Gemma 2 bounds the scores of its attention: cap × tanh(score / cap), by `attn_logit_softcapping` of its config.json, 50 in the published
# ones. transformers does so in its `eager` attention alone. Loaded without saying which, a Gemma 2 gets `sdpa`, which takes the bound as
# an argument and drops it: no error, no warning, other logits. What one tool trains or measures with eager attention (or llama.cpp,
# vLLM), another runs without the bound. The bound of the last logits (`final_logit_softcapping`) is applied either way.
#
# Seen for a Gemma 2 of two layers with large weights, which of the two bounds the logits depend on when they are set to 1:
#   loaded without saying which (sdpa)   the last one only
#   attn_implementation="eager"          both
#   log lines and warnings of either     none
# The script fails when that changes.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.18.0 numpy==2.4.6
cat > look.py <<'PY'
import logging
import warnings

import torch
import transformers
from transformers import AutoModelForCausalLM, Gemma2Config

said = []


class Listener(logging.Handler):
    def emit(self, record):
        said.append(record.getMessage())


transformers.logging.disable_default_handler()
transformers.logging.disable_progress_bar()
transformers.logging.add_handler(Listener())
shape = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
heads = {"num_key_value_heads": 2, "head_dim": 16, "query_pre_attn_scalar": 16, "max_position_embeddings": 64}
ids = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
torch.manual_seed(0)
model = AutoModelForCausalLM.from_config(Gemma2Config(**shape, **heads, **ids))
for tensor in model.parameters():
    if tensor.dim() > 1:
        tensor.data *= 40
model.save_pretrained("base")
tokens = torch.randint(3, 64, (1, 32))


def logits(attention, **changes):
    named = {} if attention is None else {"attn_implementation": attention}
    loaded = AutoModelForCausalLM.from_pretrained("base", **changes, **named).eval()
    with torch.no_grad():
        return loaded.config._attn_implementation, loaded(tokens).logits


def look(attention):
    name, plain = logits(attention)
    depends = [key for key in ("attn_logit_softcapping", "final_logit_softcapping")
               if not torch.allclose(logits(attention, **{key: 1.0})[1], plain, atol=1e-4)]
    print(f"{attention} ({name}): depends on {', '.join(depends)}")
    return name, depends


with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    seen = [look(None), look("eager")]
about = [text for text in [*said, *(str(each.message) for each in caught)] if "cap" in text.lower() or "eager" in text.lower()]
print(f"lines about it: {about}")
both = ["attn_logit_softcapping", "final_logit_softcapping"]
raise SystemExit(seen != [("sdpa", both[1:]), ("eager", both)] or about != [])
PY
venv/bin/python look.py && echo "as described" || { echo "it behaves otherwise now"; exit 1; }
