#!/bin/sh
# safetensors 0.8.0, peft 0.21.0, transformers 5.18.0, torch 2.13.0
#
# Two files that come out with other bytes each time they are written from equal content, so that a hash of them
# is of no use to anybody who makes them again (a verifier, a cache keyed by content, a reproducible build):
# - a safetensors file with two or more entries of metadata: their order in the header is that of a hash map with
# a random seed in each call. With one entry, as transformers and peft write it, the bytes are always the same.
# - peft's adapter_config.json: target_modules is kept as a Python set, and written in that set's order, which
# PYTHONHASHSEED decides, at random where it is not set. The tensors beside it are equal.
#
# Seen, different files among so many:
#   save_file with one entry of metadata, 20 times       1
#   save_file with four entries, 20 times                more than 1
#   adapter_config.json, in processes of 6 hash seeds     more than 1 (adapter_model.safetensors: 1)
# The script fails when that changes.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.18.0 peft==0.21.0 safetensors==0.8.0 numpy==2.4.6
cat > look.py <<'PY'
import hashlib
import os
import pathlib
import subprocess
import sys

import numpy
from safetensors.numpy import save

ADAPTER = """
import sys, torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM
torch.manual_seed(0)
shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 64}
config = LoraConfig(r=2, target_modules=["q_proj", "v_proj", "gate_proj", "up_proj"])
get_peft_model(LlamaForCausalLM(LlamaConfig(**shape)), config).save_pretrained(sys.argv[1])
"""


def digest(data):
    return hashlib.sha256(data).hexdigest()


def saved(metadata):
    return len({digest(save({"a": numpy.zeros(3)}, metadata)) for _ in range(20)})


configs, tensors = set(), set()
for seed in range(6):
    folder = pathlib.Path(f"adapter-{seed}")
    environment = os.environ | {"PYTHONHASHSEED": str(seed)}
    subprocess.run([sys.executable, "-c", ADAPTER, str(folder)], check=True, env=environment, stderr=subprocess.DEVNULL)
    configs.add(digest((folder / "adapter_config.json").read_bytes()))
    tensors.add(digest((folder / "adapter_model.safetensors").read_bytes()))
one, four = saved({"format": "pt"}), saved({"format": "pt", "step": "1", "loss": "2", "data": "3"})
print(f"  one entry: {one} file, four: {four} files; adapter configs: {len(configs)}, adapter tensors: {len(tensors)}")
raise SystemExit(0 if one == 1 and four > 1 and len(configs) > 1 and len(tensors) == 1 else 1)
PY
venv/bin/python look.py && echo "as described" || { echo "it behaves otherwise now"; exit 1; }
