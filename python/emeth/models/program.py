"""What kind of model a job trains. Rounds, codecs, folds and audits know only a layout; all else about a model is here.

A program is chosen by the job's parameters, and needs its base's directory where the job starts from one.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from emeth.files.codec import raw
from emeth.files.tensors import Layout, TensorReader
from emeth.models.base import read_base
from emeth.models.gpt2 import Gpt2Program
from emeth.models.network import Network
from emeth.wire.commands import NamedBase
from emeth.wire.events import Failure
from emeth.wire.params import ModelShape, Params


class Program(Protocol):
    """A kind of model with everything settled: which tensors are trained, how they begin, and what becomes of them."""

    context: int
    vocab_size: int
    # θ: the trained tensors, sorted by name, as fp32.
    layout: Layout
    # All numbers of the model, trained or not.
    num_parameters: int

    def initial(self, seed: int) -> Iterator[tuple[str, Tensor]]:
        """θ_0, tensor by tensor in name order, with the same bits on every machine."""
        ...

    def build(self, device: torch.device | str) -> Network:
        """The model with its memory allocated; of its parameters, those of the layout are not set yet.

        On `meta`, no parameter has memory, and buffers are on the CPU.
        """
        ...

    def frozen(self) -> Iterator[tuple[str, Tensor]]:
        """The parameters that are not trained, by their names in the model, one after the other on the CPU."""
        ...

    def write_weights(self, theta: str, directory: Path) -> list[str]:
        """Write the files with the trained weights that other software loads, and name them."""
        ...

    def configs(self, base: NamedBase | None) -> dict[str, dict[str, Any]]:
        """The JSON files, by name, that tell other software what these weights are."""
        ...


def open_program(params: Params, vocab_size: int, base: str | None) -> Program:
    """The program that a job's parameters ask for; `vocab_size` is how many ids its tokenizer has. Raises Failure."""
    program = _choose(params, vocab_size, base)
    if vocab_size > program.vocab_size:
        message = f"The tokenizer of the base has {vocab_size} ids; its embedding has {program.vocab_size} rows."
        raise Failure("base/vocabulary", message)
    return program


def _choose(params: Params, vocab_size: int, base: str | None) -> Program:
    """transformers is imported only where a program needs it: that takes seconds."""
    if base is None and isinstance(params.model, ModelShape) and params.model.family == "gpt2":
        return Gpt2Program(params.shape(vocab_size), params.gradient_checkpointing)
    if base is None:
        from emeth.models.hf import LlamaProgram

        return LlamaProgram(params, params.shape(vocab_size))
    found = read_base(base)
    if params.lora is None:
        from emeth.models.hf import FullProgram

        return FullProgram(params, found)
    from emeth.models.lora import LoraProgram

    return LoraProgram(params, params.lora, found)


def trained_tensors(model: Network, layout: Layout) -> dict[str, Tensor]:
    """The tensors of a model that θ consists of, in the layout's order."""
    weights = dict(model.named_parameters())
    return {name: weights[name] for name in layout}


def load_model(program: Program, theta: str, device: torch.device | str) -> Network:
    """A model with the weights of a θ file, ready to be evaluated. Raises TensorFileError."""
    model = program.build("cpu")
    weights = trained_tensors(model, program.layout)
    with TensorReader(theta, program.layout) as file, torch.no_grad():
        for name, weight in weights.items():
            file.read_into(name, 0, raw(weight.detach()))
    return model.to(device).eval()
