#!/bin/sh
# peft 0.21.0, transformers 5.18.0, torch 2.13.0
#
# PeftModel.from_pretrained warns when the base has layers that the adapter lacks, but not the other way round:
# tensors of the adapter that find no place in the base are dropped without a word. An adapter trained on a deeper
# model of the same width (a base from before pruning, the larger sibling) loads cleanly, and what answers is half
# an adapter.
#
# Seen for GPT-2 of equal width, an adapter trained on 4 layers:
#   on a base of 6 layers   a warning of missing adapter keys
#   on a base of 2 layers   no warning; 4 of its 8 tensors are used
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
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel

transformers.logging.set_verbosity_error()


def base(layers):
    torch.manual_seed(0)
    shape = {"vocab_size": 64, "n_embd": 16, "n_head": 2, "n_positions": 32, "bos_token_id": 0, "eos_token_id": 0}
    return GPT2LMHeadModel(GPT2Config(n_layer=layers, **shape))


get_peft_model(base(4), LoraConfig(r=2, target_modules=["c_attn"], fan_in_fan_out=True)).save_pretrained("adapter")
saved = len(load_file("adapter/adapter_model.safetensors"))


def load(layers):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = PeftModel.from_pretrained(base(layers), "adapter")
    used = min(saved, sum("lora_" in name for name, _ in model.named_parameters()))
    print(f"  base of {layers} layers: {used} of {saved} tensors used, warnings {[str(w.message)[:40] for w in caught]}")
    return [used, len(caught)]


seen = [load(6), load(2)]
raise SystemExit(0 if seen == [[8, 1], [4, 0]] else 1)
PY
venv/bin/python look.py && echo "as described" || { echo "it behaves otherwise now"; exit 1; }
