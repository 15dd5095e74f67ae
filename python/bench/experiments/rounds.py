"""What settings of the rounds come to in held-out loss: a job's training in one process, without transfers.

    .venv/bin/python python/bench/experiments/rounds.py --text book.txt --workers 2 --steps 50 --optimiser muon

Workers take turns. Each trains its part of a round from θ_r with our optimiser; the updates are encoded, averaged and
applied as the master does it, with the codec on both legs and what the master's leg left unsent carried over. `--sync`
is plain data-parallel training instead: at every step the blocks of all workers make one batch. Prints a line of JSON:
the held-out loss in nats per byte, processor seconds, and the settings that are not the default ones.
"""

import argparse
import json
import math
import sys
import time
from dataclasses import Field, asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from emeth.files.codecs.names import CODECS
from emeth.files.philox import permutation
from emeth.models.gpt2 import Gpt, build, initial_tensors
from emeth.rounds.optimiser import Optimiser, make_optimiser
from emeth.rounds.train import ROUND_WARMUP_STEPS, learning_rate
from emeth.wire.model_shape import Shape
from emeth.wire.params import CodecName, InnerParams

_VALIDATION = 0.07
_BYTES = 257
_AT_ONCE = 32
_CHOICES = {"optimiser": ("adamw", "muon"), "codec": tuple(CODECS)}

Tensors = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run is made of; the model and the tokens are those of the demo."""

    text: str = ""
    workers: int = 2
    # Inner steps of a worker in a round.
    steps: int = 50
    epochs: float = 2.0
    batch: int = 8
    context: int = 128
    layers: int = 4
    heads: int = 4
    width: int = 128
    seed: int = 0
    sync: bool = False
    optimiser: Literal["adamw", "muon"] = "adamw"
    lr: float = 2e-3
    muon_lr: float = 0.02
    muon_momentum: float = 0.95
    # Steps over which the rate rises at the start of each round.
    round_warmup: int = ROUND_WARMUP_STEPS
    # Whether a worker keeps its optimiser's state from round to round.
    kept: bool = False
    outer_lr: float = 1.0
    outer_momentum: float = 0.5
    codec: CodecName = "int8"
    # How much of what its codec left unsent a worker adds to its next update.
    feedback: float = 0.0
    # First steps of a lease that a worker takes before it has the round's weights, from where its last update led;
    # what they change is then carried over to those weights.
    head: int = 0
    # Parts of a round that the workers do, such as 4,1; all the same where it is empty.
    spread: str = ""

    def inner(self) -> InnerParams:
        """As a job has them."""
        return InnerParams(
            lr=self.lr,
            min_lr_ratio=0.1,
            warmup=0.02,
            weight_decay=0.1,
            beta1=0.9,
            beta2=0.95,
            clip=1.0,
            optimiser=self.optimiser,
            muon_lr=self.muon_lr,
            muon_momentum=self.muon_momentum,
        )

    def shape(self) -> Shape:
        """The model's."""
        return Shape(
            layers=self.layers,
            heads=self.heads,
            width=self.width,
            context=self.context,
            dropout=0,
            vocab_size=_BYTES,
        )

    def changed(self) -> dict[str, object]:
        """Those that are not the default ones."""
        values = asdict(self)
        return {f.name: values[f.name] for f in fields(self) if f.name != "text" and values[f.name] != f.default}


class Data:
    """Blocks of bytes in the order of the job's positions, and the held-out sequences."""

    def __init__(self, settings: Settings) -> None:
        tokens = np.frombuffer(Path(settings.text).read_bytes(), np.uint8).astype(np.int64)
        cut = int(len(tokens) * (1 - _VALIDATION))
        view = np.lib.stride_tricks.sliding_window_view
        self.held_out = torch.from_numpy(view(tokens[cut:], settings.context + 1)[:: settings.context].copy())
        windows = view(tokens[:cut], settings.context + 1)[:: settings.context]
        per_epoch = len(windows) // settings.batch
        self._blocks = windows[: per_epoch * settings.batch].reshape(settings.batch, per_epoch, -1).transpose(1, 0, 2)
        epochs = range(math.ceil(settings.epochs))
        orders = [permutation(per_epoch, settings.seed, epoch) for epoch in epochs]
        self._order = np.concatenate(orders)[: int(per_epoch * settings.epochs)]

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, position: int) -> Tensor:
        return torch.from_numpy(self._blocks[self._order[position]].copy())


class Job:
    """A job's weights, and how it trains them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.data = Data(settings)
        self._inner = settings.inner()
        self.model: Gpt = build(settings.shape()).train()
        self._weights = dict(sorted(self.model.named_parameters()))
        with torch.no_grad():
            for name, tensor in initial_tensors(settings.shape(), settings.seed):
                self._weights[name].copy_(tensor)
        self._theta = {name: weight.detach().clone() for name, weight in self._weights.items()}
        self._momentum = self._zeros()
        self._unsent = self._zeros()
        self._unsent_of = [self._zeros() for _ in range(settings.workers)]
        self._kept: dict[int, Optimiser] = {}
        # Where each worker's last update led.
        self._reached: dict[int, Tensors] = {}

    def train(self) -> None:
        """All of the data, in rounds or in plain data-parallel steps."""
        if self._settings.sync:
            return self._train_together()
        parts = [float(part) for part in self._settings.spread.split(",") if part] or [1.0] * self._settings.workers
        shares = np.array(parts) / sum(parts)
        at, total = 0, len(self.data)
        while at < total:
            num_rounds = math.ceil((total - at) / (self._settings.steps * self._settings.workers))
            size = math.ceil((total - at) / num_rounds)
            ends = at + np.round(np.cumsum(shares) * size).astype(int)
            starts = [at, *ends[:-1].tolist()]
            leases = [range(start, end) for start, end in zip(starts, ends.tolist(), strict=True)]
            updates = [self._lease(worker, lease) for worker, lease in enumerate(leases)]
            self._fold(updates, [len(lease) / size for lease in leases])
            at += size
        self._load(self._theta)
        return None

    def held_out_loss(self) -> float:
        """Mean nats per byte."""
        sequences = self.data.held_out
        total = 0.0
        with torch.no_grad():
            for start in range(0, len(sequences), _AT_ONCE):
                part = sequences[start : start + _AT_ONCE]
                total += float(self.model(part[:, :-1], part[:, 1:])) * len(part)
        return total / len(sequences)

    def _train_together(self) -> None:
        workers = self._settings.workers
        optimiser = make_optimiser(self.model, self._inner)
        for at in range(0, len(self.data) - workers + 1, workers):
            self._step(optimiser, range(at, at + workers), 1.0)

    def _step(self, optimiser: Optimiser, positions: range, factor: float) -> None:
        for position in positions:
            block = self.data[position]
            loss = self.model(block[:, :-1], block[:, 1:]) / len(positions)
            loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self._inner.clip)
        optimiser.set_rate(factor * learning_rate(self._inner, positions[0], len(self.data)))
        optimiser.step()
        self.model.zero_grad(set_to_none=True)

    def _lease(self, worker: int, positions: range) -> Tensors:
        """A worker's update, decoded."""
        settings = self._settings
        early = self._reached.get(worker, self._theta) if settings.head else self._theta
        self._load(early)
        optimiser = self._kept.get(worker) or make_optimiser(self.model, self._inner)
        if settings.kept:
            self._kept[worker] = optimiser
        rise = max(1, min(settings.round_warmup, len(positions) // 5))
        for step, position in enumerate(positions):
            if step == settings.head:
                self._carry_over(early)
            self._step(optimiser, range(position, position + 1), min(1.0, (step + 1) / rise))
        update = {}
        for name, weight in self._weights.items():
            unsent = self._unsent_of[worker]
            wanted = self._theta[name] - weight.detach() + settings.feedback * unsent[name]
            update[name] = self._sent(wanted)
            unsent[name] = wanted - update[name]
        self._reached[worker] = {name: theta - update[name] for name, theta in self._theta.items()}
        return update

    def _carry_over(self, early: Tensors) -> None:
        if early is not self._theta:
            with torch.no_grad():
                for name, weight in self._weights.items():
                    weight.add_(self._theta[name] - early[name])

    def _fold(self, updates: list[Tensors], shares: list[float]) -> None:
        """The outer step, SGD with Nesterov, on the mean update."""
        momentum_factor, rate = self._settings.outer_momentum, self._settings.outer_lr
        for name, theta in self._theta.items():
            mean = torch.zeros_like(theta)
            for update, share in zip(updates, shares, strict=True):
                mean += update[name] * share
            momentum = self._momentum[name].mul_(momentum_factor).add_(mean)
            wanted = self._unsent[name] - rate * (mean + momentum_factor * momentum)
            sent = self._sent(wanted)
            self._unsent[name] = wanted - sent
            theta.add_(sent)

    def _sent(self, values: Tensor) -> Tensor:
        """What arrives of a tensor."""
        codec = CODECS[self._settings.codec]
        flat = values.reshape(-1).contiguous()
        out = torch.empty_like(flat)
        codec.decode(codec.encode(flat), out)
        return out.view(values.shape)

    def _load(self, theta: Tensors) -> None:
        with torch.no_grad():
            for name, weight in self._weights.items():
                weight.copy_(theta[name])

    def _zeros(self) -> Tensors:
        return {name: torch.zeros_like(weight) for name, weight in self._theta.items()}


def _add(parser: argparse.ArgumentParser, field: "Field[Any]") -> None:
    flag = "--" + field.name.replace("_", "-")
    if isinstance(field.default, bool):
        parser.add_argument(flag, action="store_true")
    else:
        needed, choices = field.name == "text", _CHOICES.get(field.name)
        parser.add_argument(flag, type=type(field.default), default=field.default, required=needed, choices=choices)


def main() -> None:
    """Run with the settings of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for field in fields(Settings):
        _add(parser, field)
    settings = Settings(**vars(parser.parse_args()))
    torch.set_num_threads(1)
    job = Job(settings)
    began = time.process_time()
    job.train()
    seconds = time.process_time() - began
    figures = {"loss": round(job.held_out_loss(), 4), "seconds": round(seconds), "blocks": len(job.data)}
    print(json.dumps(figures | settings.changed()))


if __name__ == "__main__":
    main()
