"""The hidden matrices of a model: the weights of the layers inside its blocks, which Muon trains.

They are found by place and shape, for every program: in a block is what lies in a list of modules, as
`transformer.h.3` or `model.layers.3`. Embeddings, position tables, the head, norms and biases are none of them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

_IN_BLOCK = re.compile(r"\.\d+\.")


@dataclass(frozen=True, kw_only=True, slots=True)
class HiddenMatrix:
    """What one layer multiplies by: a weight, or a part of one that holds several layers' side by side."""

    weight: nn.Parameter
    # Whether the weight is stored input × output, as GPT-2 has it.
    is_transposed: bool
    # Its outputs among those of the weight.
    start: int
    end: int

    @property
    def outputs(self) -> int:
        """Numbers that the layer makes of a token."""
        return self.end - self.start

    @property
    def inputs(self) -> int:
        """Numbers that it makes them of."""
        return self.weight.shape[0 if self.is_transposed else 1]

    def of(self, values: Tensor) -> Tensor:
        """Its part of a tensor shaped like the weight, as output × input."""
        return (values.t() if self.is_transposed else values)[self.start : self.end]


def hidden_matrices(model: nn.Module) -> list[HiddenMatrix]:
    """The hidden matrices, in the model's order; fused ones (query, key and value) one by one."""
    return [
        matrix
        for name, layer in model.named_modules()
        if _IN_BLOCK.search(name)
        for matrix in _matrices_of(model, name, layer)
    ]


def _matrices_of(model: nn.Module, name: str, layer: nn.Module) -> Iterator[HiddenMatrix]:
    weight = getattr(layer, "weight", None)
    if not isinstance(weight, nn.Parameter) or weight.dim() != 2:
        return
    # Conv1D of transformers and the layer of `gpt2.py` are no nn.Linear.
    is_transposed = not isinstance(layer, nn.Linear)
    start = 0
    for size in _outputs(model, name, weight.shape[1 if is_transposed else 0]):
        yield HiddenMatrix(weight=weight, is_transposed=is_transposed, start=start, end=start + size)
        start += size


def _outputs(model: nn.Module, name: str, count: int) -> list[int]:
    """How many outputs of a weight belong to each of the layers that it stands for."""
    parent, _, leaf = name.rpartition(".")
    if leaf == "c_attn":
        return [count // 3] * 3
    if leaf == "gate_up_proj":
        return [count // 2] * 2
    if leaf == "qkv_proj":
        # There may be fewer keys and values than queries, of which the output layer takes all.
        queries = model.get_submodule(f"{parent}.o_proj").in_features
        assert isinstance(queries, int)  # noqa: S101 - so in every class of the list
        return [queries, (count - queries) // 2, (count - queries) // 2]
    return [count]
