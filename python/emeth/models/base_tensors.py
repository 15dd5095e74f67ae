"""The numbers of a base, read piece by piece, under the names that transformers gives them today."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from emeth.files.codec import CHUNK, chunks, raw
from emeth.files.tensors import TensorFileError, TensorReader, TensorSpec
from emeth.models.base import FLOATS, Base, StoredTensor
from emeth.wire.events import Failure

_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
# What old files hold beside weights: GPT-2's causal masks, and frequencies that follow from the config.
_LEFT_OVER = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")


class BaseTensors:
    """A base's tensors: their shapes are checked at once, that they are finite where they are read."""

    def __init__(self, base: Base, model: Any) -> None:  # noqa: ANN401 - transformers has no types
        """`model` is the library's, empty. Raises a Failure when the base has other tensors than it."""
        shapes = {name: tuple(weight.shape) for name, weight in model.named_parameters()}
        tied: dict[str, str] = model.all_tied_weights_keys
        self._places = _places(base, shapes, tied, model.base_model_prefix)
        # A head that is the embedding may be stored under both names, or under either.
        self._twins = {tied[name]: place for name, place in self._places.items() if name in tied}
        for name, shape in shapes.items():
            place = self._places.get(name) or self._twins.get(name)
            if place is None:
                raise Failure("base/bad-weights", f"The base lacks the tensor {name} of a {base.architecture}.")
            self._places[name] = place
            _check(place, shape)

    def spec(self, name: str) -> TensorSpec:
        """The dtype and shape in which a tensor is stored."""
        return self._places[name].spec

    def empty(self, name: str, device: torch.device | str = "cpu") -> Tensor:
        """A tensor of the dtype and shape in which one is stored."""
        spec = self.spec(name)
        return torch.empty(spec.shape, dtype=_DTYPES[spec.dtype], device=device)

    def stored(self, name: str) -> Tensor:
        """A tensor as it is stored."""
        tensor = self.empty(name)
        self.read(name, tensor)
        return tensor

    def read(self, name: str, out: Tensor) -> None:
        """Fill a contiguous CPU tensor of any dtype. Raises a Failure when a number is not finite."""
        place, twin = self._places[name], self._twins.get(name)
        _read(place, out)
        if twin is not None and twin != place:
            other = torch.empty_like(out)
            _read(twin, other)
            if not torch.equal(out, other):
                message = f"config.json of the base says that {place.name} and {twin.name} are the same; they differ."
                raise Failure("base/bad-weights", message)


def _places(
    base: Base, shapes: Mapping[str, tuple[int, ...]], tied: Mapping[str, str], prefix: str
) -> dict[str, StoredTensor]:
    """The stored tensors by the model's names, which in files from before 2020 lack the prefix (`transformer.`)."""
    places = {}
    for stored, place in base.tensors.items():
        known = [name for name in (stored, f"{prefix}.{stored}") if name in shapes or name in tied]
        if known:
            places[known[0]] = place
        elif not f".{stored}".endswith(_LEFT_OVER):
            raise Failure("base/bad-weights", f"The base holds {stored[:100]!r}, which no {base.architecture} has.")
    return places


def _check(place: StoredTensor, shape: tuple[int, ...]) -> None:
    name, spec = place.name, place.spec
    if spec.dtype not in FLOATS:
        message = f"{name} of the base is stored as {spec.dtype}; give the model in fp32, bf16 or fp16."
        raise Failure("base/quantised", message)
    if spec.shape != shape:
        message = f"{name} of the base has shape {list(spec.shape)}; its config.json asks for {list(shape)}."
        raise Failure("base/bad-weights", message)


def _read(place: StoredTensor, out: Tensor) -> None:
    flat, scratch = out.view(-1), torch.empty(CHUNK, dtype=_DTYPES[place.spec.dtype])
    try:
        with TensorReader(place.path) as file:
            for start, end in chunks(flat.numel()):
                piece = scratch[: end - start]
                file.read_into(place.name, start, raw(piece))
                if not bool(torch.isfinite(piece).all()):
                    raise Failure("base/not-finite", f"{place.name} of the base holds numbers that are not finite.")
                flat[start:end] = piece
    except TensorFileError as error:
        raise Failure("base/bad-weights", f"{place.name} of the base: {error}") from error
