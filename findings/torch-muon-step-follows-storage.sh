#!/bin/sh
# torch 2.13.0, transformers 5.18.0
#
# `torch.optim.Muon` scales the step of a matrix by √(rows ÷ columns) where it has more rows than columns (`adjust_lr_fn` "original", the
# default), and takes rows for outputs. transformers keeps the layers of GPT-2 as `Conv1D`, input × output. There the rule is upside down:
# the layers that widen move half as far as the same layers stored as `nn.Linear`, those that narrow twice as far, without a word. And the
# one weight that holds query, key and value goes through as one matrix: whichever of the three has the larger gradients gets the whole
# step, while in weights of their own (as in a Llama) each moves as far as the others.
#
# Seen, for the first step at one rate along the same random gradients, as lengths of the step:
#   128 -> 512  Conv1D ÷ Linear 0.50
#   512 -> 128  Conv1D ÷ Linear 2.00
#   query, key, value with gradients of 1, 0.01 and 0.01, in one weight    10.0 0.8 0.9
#   the same, in a weight each                                            10.0 10.1 10.1
# The script fails when that changes.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.18.0 numpy==2.4.6
cat > look.py <<'PY'
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

torch.manual_seed(0)


def step(layer, gradient):
    """How far one step at rate 1 moves a layer, as output × input."""
    is_linear = isinstance(layer, nn.Linear)
    before = layer.weight.detach().clone()
    layer.weight.grad = gradient.clone() if is_linear else gradient.t().clone()
    torch.optim.Muon([layer.weight], lr=1.0, weight_decay=0.0).step()
    moved = before - layer.weight.detach()
    return moved if is_linear else moved.t()


found = {}
for inputs, outputs in ((128, 512), (512, 128), (128, 128)):
    gradient = torch.randn(outputs, inputs)
    linear, conv = (step(layer, gradient) for layer in (nn.Linear(inputs, outputs), Conv1D(outputs, inputs)))
    found[inputs, outputs] = float(conv.norm() / linear.norm())
    print(f"{inputs} -> {outputs}: step of Conv1D ÷ step of Linear, same gradient: {found[inputs, outputs]:.2f}")
fused = torch.cat([torch.randn(128, 128), 0.01 * torch.randn(256, 128)])
parts = step(Conv1D(384, 128), fused).split(128)
own = [step(Conv1D(128, 128), gradient) for gradient in fused.split(128)]
lengths = [[float(one.norm()) for one in group] for group in (parts, own)]
print("query, key, value in one weight:", " ".join(f"{one:.1f}" for one in lengths[0]))
print("in a weight each:               ", " ".join(f"{one:.1f}" for one in lengths[1]))
fused_steps, own_steps = lengths
is_so = abs(found[128, 512] - 0.5) < 0.05 and abs(found[512, 128] - 2) < 0.2 and abs(found[128, 128] - 1) < 0.05
is_so = is_so and max(fused_steps[1:]) < 0.2 * fused_steps[0] and min(own_steps[1:]) > 0.9 * own_steps[0]
raise SystemExit(not is_so)
PY
venv/bin/python look.py && echo "as described" || { echo "it behaves otherwise now"; exit 1; }
