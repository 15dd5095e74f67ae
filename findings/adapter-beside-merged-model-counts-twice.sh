#!/bin/sh
# transformers 5.18.0, peft 0.21.0, torch 2.13.0
#
# A directory can hold a merged model (config.json, model.safetensors) and beside it the adapter that was merged
# (adapter_config.json, adapter_model.safetensors): people save both into one folder, so that nothing is lost.
# Where peft is installed, AutoModelForCausalLM.from_pretrained then takes the merged weights for the base, and lays
# the adapter on top of them: it counts twice, without a word. Without peft the same directory gives the merged
# model, so what a directory means depends on a package that the program using it may not even import.
#
# Seen, for a merged model whose adapter changes the logits by d:
#   merged model alone                  base + d
#   merged model, adapter beside it     base + 2d (as far as d is small), and peft_config is set
#   the adapter in a folder of its own  base + d
# The script fails when that changes.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
PIP_RETRIES=0 venv/bin/pip install -q torch==2.13.0 transformers==5.18.0 peft==0.21.0
cat > twice.py <<'PY'
import os
import shutil

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

torch.manual_seed(0)
config = LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)
LlamaForCausalLM(config).save_pretrained("base")
ids = torch.arange(8)[None]


def logits(model):
    with torch.inference_mode():
        return model.eval()(ids).logits


base = logits(AutoModelForCausalLM.from_pretrained("base"))
model = get_peft_model(AutoModelForCausalLM.from_pretrained("base"), LoraConfig(task_type="CAUSAL_LM", target_modules=["o_proj"]))
for name, weight in model.named_parameters():
    if "lora_B" in name:
        torch.nn.init.normal_(weight, std=0.001)
model.save_pretrained("both")
model.merge_and_unload().save_pretrained("both")
shutil.copytree("both", "merged", ignore=shutil.ignore_patterns("adapter_*"))
shutil.copytree("merged", "apart")
os.mkdir("apart/adapter")
for name in ("adapter_config.json", "adapter_model.safetensors"):
    shutil.copy(f"both/{name}", f"apart/adapter/{name}")

change = logits(AutoModelForCausalLM.from_pretrained("merged")) - base
seen = {}
for directory in ("merged", "both", "apart"):
    loaded = AutoModelForCausalLM.from_pretrained(directory)
    moved = logits(loaded) - base
    times = float((moved * change).sum() / (change * change).sum())
    seen[directory] = (round(times, 1), bool(getattr(loaded, "peft_config", None)))
    print(f"{directory}: base + {times:.2f} d, peft_config {seen[directory][1]}")
raise SystemExit(seen != {"merged": (1.0, False), "both": (2.0, True), "apart": (1.0, False)})
PY
venv/bin/python twice.py 2>/dev/null && echo "as described" || { echo "it behaves otherwise now"; exit 1; }
