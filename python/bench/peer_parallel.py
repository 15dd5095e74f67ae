"""Plain data-parallel training in fp32 on the data and the model of a job: what rounds are measured against.

Takes one JSON object as its argument: `params` of the job as its manifest has them, its data set, a folder, and a
`mode`. `prepare`: tokenise. `curve`: train with all workers' blocks as one batch, which is what any exchange of exact
gradients comes to, and print the held-out loss now and then. `serve`: average the gradients of workers. `work`: be one
of the workers, and print how long steps take.
"""

import json
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.exchange import MeanClient, MeanServer
from emeth.data.data import Corpus, Source, prepare
from emeth.data.sequences import read_shard
from emeth.models.network import Network, tensors_of
from emeth.models.program import open_program, trained_tensors
from emeth.rounds.optimiser import make_optimiser
from emeth.rounds.train import learning_rate
from emeth.wire.params import Params
from emeth.wire.parse import parse

# Held-out sequences that are looked at while training; the same number as `looks` are taken.
_SEQUENCES = 64


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is to be done, as the caller wrote it."""

    mode: str
    params: dict[str, Any]
    folder: str
    dataset: str
    workers: int
    lr: float
    # Blocks of the whole training.
    blocks: int = 0
    # `curve`: how often the loss is looked at, and where training may end.
    looks: int = 20
    target: float = 0.0
    threads: int = 1
    # `work`: the server, which worker this is, and how many steps are timed after the first.
    port: int = 0
    rank: int = 0
    steps: int = 0


class Training:
    """The model with its optimiser."""

    def __init__(self, task: Task) -> None:
        torch.set_num_threads(task.threads)
        self._task = task
        params = parse(Params, task.params)
        self._params = replace(params, inner=replace(params.inner, optimiser="adamw", lr=task.lr))
        self._corpus = Corpus(self._params, task.folder)
        self._vocabulary = self._corpus.prepared.vocab_size
        program = open_program(self._params, self._vocabulary, None)
        self.model: Network = program.build("cpu").train()
        weights = trained_tensors(self.model, program.layout)
        with torch.no_grad():
            for name, tensor in program.initial(self._params.seed):
                weights[name].copy_(tensor)
        self._optimiser = make_optimiser(self.model, self._params.inner)

    def gradient(self, position: int, share: float) -> None:
        """Add a block's gradient, times its share of the batch."""
        out = f"{self._task.folder}/block-{self._task.mode}-{self._task.rank}"
        self._corpus.cut(position, position + 1, out)
        block = read_shard(out, self._params.batch, self._params.model.context, self._vocabulary)[0]
        tokens, mask = tensors_of(block, "cpu")
        (self.model(tokens[:, :-1], tokens[:, 1:], mask) * share).backward()

    def step(self, position: int) -> None:
        """Take a step with the gradient of all blocks."""
        nn.utils.clip_grad_norm_(self.model.parameters(), self._params.inner.clip)
        self._optimiser.set_rate(learning_rate(self._params.inner, position, self._task.blocks))
        self._optimiser.step()
        self.model.zero_grad(set_to_none=True)

    def held_out_loss(self) -> float:
        """On some sequences that a master looks at too."""
        sequences = self._corpus.validation(_SEQUENCES)
        tokens, mask = tensors_of(sequences, "cpu")
        with torch.inference_mode():
            return float(self.model(tokens[:, :-1], tokens[:, 1:], mask))


def curve(task: Task) -> Iterator[dict[str, float]]:
    """Steps with the loss after them, until the target is reached or all blocks are trained."""
    training, steps = Training(task), task.blocks // task.workers
    every = max(1, steps // task.looks)
    for step in range(steps):
        for rank in range(task.workers):
            training.gradient(step * task.workers + rank, 1 / task.workers)
        training.step(step * task.workers)
        if (step + 1) % every == 0 or step + 1 == steps:
            loss = training.held_out_loss()
            yield {"step": step + 1, "loss": loss}
            if loss <= task.target:
                return


class Overlapped:
    """Hands each parameter's gradient over as soon as it is there, in the order in which they come."""

    def __init__(self, model: Network, client: MeanClient) -> None:
        self._client = client
        self._parameters = list(reversed([p for p in model.parameters() if p.requires_grad]))
        ends = np.cumsum([p.numel() for p in self._parameters])
        self._places = [slice(int(end) - p.numel(), int(end)) for p, end in zip(self._parameters, ends, strict=True)]
        self._there = [False] * len(self._parameters)
        for i, parameter in enumerate(self._parameters):
            parameter.register_post_accumulate_grad_hook(lambda p, i=i: self._hand_over(i, p))

    def _hand_over(self, i: int, parameter: Tensor) -> None:
        assert parameter.grad is not None
        self._client.gradient[self._places[i]] = parameter.grad.numpy().reshape(-1)
        self._there[i] = True
        ready = self._there.index(False) if False in self._there else len(self._there)
        if ready:
            self._client.ready(self._places[ready - 1].stop)

    def take_mean(self) -> None:
        """Wait for the mean, and put it in place of the gradients."""
        self._client.wait()
        self._there = [False] * len(self._parameters)
        for parameter, place in zip(self._parameters, self._places, strict=True):
            assert parameter.grad is not None
            parameter.grad.copy_(torch.from_numpy(self._client.mean[place]).view_as(parameter))


def work(task: Task) -> Iterator[dict[str, float]]:
    """Seconds that each step took; the first, which all that happens once is in, is one more than was asked for."""
    training = Training(task)
    numbers = sum(p.numel() for p in training.model.parameters() if p.requires_grad)
    exchange = Overlapped(training.model, MeanClient(task.port, task.rank, numbers))
    for step in range(task.steps + 1):
        began = time.monotonic()
        training.gradient(step * task.workers + task.rank, 1.0)
        computed = time.monotonic()
        exchange.take_mean()
        training.step(step * task.workers)
        yield {"step": step, "seconds": time.monotonic() - began, "computed": computed - began}


def serve(task: Task) -> None:
    """Average until the process is ended."""
    params = parse(Params, task.params)
    program = open_program(params, Corpus(params, task.folder).prepared.vocab_size, None)
    numbers = sum(int(np.prod(spec.shape)) for spec in program.layout.values())
    listener = socket.create_server(("127.0.0.1", 0))
    print(json.dumps({"port": listener.getsockname()[1], "numbers": numbers}), flush=True)
    MeanServer(task.workers, numbers).serve(listener)


def main() -> None:
    """Do the task; each result is a line of JSON."""
    task = Task(**json.loads(sys.argv[1]))
    if task.mode == "prepare":
        source = Source(dataset=task.dataset, max_bytes=1 << 40, work_dir=task.folder)
        print(json.dumps(prepare(parse(Params, task.params), source).json()), flush=True)
    elif task.mode == "serve":
        serve(task)
    else:
        for result in curve(task) if task.mode == "curve" else work(task):
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
