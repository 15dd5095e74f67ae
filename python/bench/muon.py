"""What a step costs that Muon takes for the hidden matrices, beside one of AdamW alone: `npm run bench:train`.

Both train the same model on the same tokens in one process and one thread, step by step in turn, so that other work
on the machine meets both; seconds are the processor's.
"""

import statistics
import time
from collections.abc import Iterator

import torch

from bench.measures import Measure
from emeth.models.gpt2 import build, initial_tensors
from emeth.rounds.optimiser import make_optimiser
from emeth.wire.model_shape import Shape
from emeth.wire.params import InnerParams
from emeth.wire.parse import parse
from tests.child import make_params

BATCH = 8
# The demo's model, and one of 10.8M parameters.
SHAPES = [
    Shape(layers=4, heads=4, width=128, context=128, vocab_size=256),
    Shape(layers=6, heads=6, width=384, context=256, vocab_size=256),
]


class Side:
    """A model and its optimiser."""

    def __init__(self, shape: Shape, optimiser: str) -> None:
        self._model = build(shape).train()
        self._model.load_state_dict(dict(initial_tensors(shape, 1)))
        self._optimiser = make_optimiser(
            self._model, parse(InnerParams, make_params(inner={"optimiser": optimiser})["inner"])
        )

    def step(self, tokens: torch.Tensor) -> float:
        """Processor seconds of a step."""
        began = time.process_time()
        self._model(tokens[:, :-1], tokens[:, 1:]).backward()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        self._optimiser.step()
        self._model.zero_grad(set_to_none=True)
        return time.process_time() - began


def measure_muon(steps: int, short: bool) -> Iterator[Measure]:
    """A step of Muon ÷ one of AdamW."""
    torch.set_num_threads(1)
    for shape in SHAPES[: 1 if short else None]:
        tokens = torch.randint(0, shape.vocab_size, (BATCH, shape.context + 1))
        muon, adamw = Side(shape, "muon"), Side(shape, "adamw")
        found = [(muon.step(tokens), adamw.step(tokens)) for _ in range(steps + 2)][2:]
        ours, theirs = (1000 * statistics.median(pair[i] for pair in found) for i in (0, 1))
        name = f"step of Muon ÷ of AdamW, {shape.layers} × {shape.width}, batch {BATCH} × {shape.context}"
        ratios = [mine / other for mine, other in found]
        yield Measure(name, ours, theirs, "ms of the processor", ratios=ratios)
