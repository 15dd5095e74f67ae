"""The gain of an update: positive for work, negative for its opposite, never a number that is not finite."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from emeth.data.sequences import read_shard
from emeth.files.codec import encode_file, read_theta
from emeth.models.gpt2 import Gpt, Gpt2Program
from emeth.models.program import load_model
from emeth.rounds.compare import MAX_NUMBER
from emeth.rounds.gain import gain_of
from tests.conftest import Job


def loss_on(job: Job, folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and targets of the first four sequences of a lease."""
    shard = job.corpus.cut(0, 2, str(folder / "shard"))
    sequences = read_shard(shard.path, job.params.batch, job.shape.context, job.shape.vocab_size).flat()
    rows = torch.from_numpy(sequences.tokens[:4].astype(np.int64))
    return rows[:, :-1], rows[:, 1:]


@pytest.mark.parametrize("codec", ["fp32", "int8"])
def test_gain_is_the_fall_of_the_loss(codec: str, job: Job, tmp_path: Path) -> None:
    inputs, targets = loss_on(job, tmp_path)

    def loss_of(model: Gpt) -> float:
        with torch.no_grad():
            return float(model(inputs, targets))

    model = load_model(Gpt2Program(job.shape), job.theta0.path, "cpu")
    model(inputs, targets).backward()
    step = {name: 0.03 * weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
    expected = loss_of(model)
    for sign in (1, -1):
        update = str(tmp_path / "update")
        encode_file(update, codec, job.layout, lambda name, sign=sign: sign * step[name])
        moved = load_model(Gpt2Program(job.shape), job.theta0.path, "cpu")
        gain = gain_of(moved, update, codec, job.layout, loss_of)
        assert gain * sign > 0.01
        theta = read_theta(job.theta0.path, job.layout)
        moved.load_state_dict({name: theta[name] - sign * step[name] for name in job.layout})
        assert gain == pytest.approx(expected - loss_of(moved), rel=0.02)


def test_gain_when_the_loss_is_not_finite_is_the_smallest_number(job: Job, tmp_path: Path) -> None:
    update = str(tmp_path / "update")
    encode_file(update, "fp32", job.layout, lambda name: torch.zeros(job.layout[name].shape))
    losses = iter([5.0, math.nan])
    model = load_model(Gpt2Program(job.shape), job.theta0.path, "cpu")
    assert gain_of(model, update, "fp32", job.layout, lambda _: next(losses)) == -MAX_NUMBER
