"""A few steps before anybody trains: rates that break a model at once do so here, and cost nobody anything."""

import math

import torch
from torch import nn

from emeth.data.sequences import Sequences
from emeth.models.network import Network, tensors_of
from emeth.rounds.optimiser import make_optimiser
from emeth.wire.events import Failure
from emeth.wire.params import InnerParams, OuterParams

# An optimiser's moments need a few steps to show what they do with a rate.
_STEPS = 4


def rehearse(model: Network, sequences: Sequences, inner: InnerParams, outer: OuterParams) -> float:
    """The loss where steps at the job's highest rate lead, carried as far as its outer steps carry them in the end.

    Raises `params/diverge` when that is no finite number.
    """
    weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    device = next(iter(weights.values())).device
    tokens, mask = tensors_of(sequences, device)
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    optimiser = make_optimiser(model, inner)
    for _ in range(_STEPS):
        model(tokens[:, :-1], tokens[:, 1:], mask).backward()
        nn.utils.clip_grad_norm_(model.parameters(), inner.clip)
        optimiser.step()
        model.zero_grad(set_to_none=True)
    with torch.no_grad():
        for name, weight in weights.items():
            weight.add_(weight - before[name], alpha=outer.lr / (1 - outer.momentum) - 1)
        loss = float(model(tokens[:, :-1], tokens[:, 1:], mask))
    if not math.isfinite(loss):
        message = f"After {_STEPS} steps at these learning rates the loss is not a finite number; ask for lower ones."
        raise Failure("params/diverge", message)
    return loss
