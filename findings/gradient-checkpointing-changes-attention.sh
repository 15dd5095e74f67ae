#!/bin/sh
# transformers 5.18.0, torch 2.13.0
#
# Two texts packed into one row, with position_ids that start again at 0 for the second, and no attention mask:
# whether the second text sees the first depends on whether a KV cache is made. Without one (use_cache=False)
# transformers takes the restart as a boundary and masks; with one, which is the default, it does not. Gradient
# checkpointing switches the cache off, so that switching it on, which should only save memory, changes what is
# computed: loss, gradients and model. An attention mask of ones, which says nothing, takes the boundary away in
# every case.
#
# Seen for a Llama of two layers in training mode, one row of two packed texts of 8 tokens, weights and inputs
# equal:
#   no mask                               the second text sees the first
#   no mask, use_cache=False              it does not
#   no mask, gradient checkpointing       it does not
#   mask of ones, gradient checkpointing  it sees the first
# The script fails when that changes.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.18.0 numpy==2.4.6
cat > look.py <<'PY'
import torch
import transformers
from transformers import LlamaConfig, LlamaForCausalLM

transformers.logging.set_verbosity_error()
torch.manual_seed(0)
config = LlamaConfig(vocab_size=64, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
model = LlamaForCausalLM(config).train()
for tensor in model.parameters():
    tensor.data *= 8
ids = torch.randint(0, 64, (1, 16))
positions = torch.tensor([[*range(8), *range(8)]])
ones = torch.ones_like(ids)

# Only the second text's targets count; its loss without the first text is what a boundary gives.
labels = torch.cat([torch.full((1, 8), -100), ids[:, 8:]], dim=1)
labels[:, 8] = -100
alone = model(input_ids=ids[:, 8:], labels=ids[:, 8:]).loss.item()


def apart(**options):
    loss = model(input_ids=ids, labels=labels, position_ids=positions, **options).loss.item()
    print(f"  loss of the second text {loss:.3f}, alone {alone:.3f}: {'apart' if abs(loss - alone) < 1e-3 else 'it sees the first'}")
    return abs(loss - alone) < 1e-3


seen = [apart(), apart(use_cache=False)]
model.gradient_checkpointing_enable()
seen += [apart(), apart(attention_mask=ones)]
raise SystemExit(0 if seen == [False, True, True, False] else 1)
PY
venv/bin/python look.py && echo "as described" || { echo "it behaves otherwise now"; exit 1; }
