"""Sequences of tokens as models are given them, and the shards that they travel in."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emeth.data.tokenizer import Tokens
from emeth.files.tensors import TensorReader
from emeth.wire.events import Failure

DTYPES = {1: "U8", 2: "U16", 4: "U32"}
_NUMPY = {"U8": np.uint8, "U16": np.uint16, "U32": np.uint32}


@dataclass(frozen=True, slots=True)
class Sequences:
    """Tokens [..., context + 1], and the mask [..., context] of their targets: 1 where one counts. No mask: all do."""

    tokens: Tokens
    mask: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def context(self) -> int:
        """Targets of a sequence."""
        return int(self.tokens.shape[-1]) - 1

    @property
    def num_targets(self) -> int:
        """Targets that count."""
        return self.tokens.size // (self.context + 1) * self.context if self.mask is None else int(self.mask.sum())

    def targets(self) -> Tokens:
        """The tokens that count as targets."""
        targets: Tokens = self.tokens[..., 1:]
        return targets.reshape(-1) if self.mask is None else targets[self.mask.astype(bool)]

    def __getitem__(self, at: "int | slice | NDArray[np.int64]") -> "Sequences":
        return Sequences(self.tokens[at], None if self.mask is None else self.mask[at])

    def learnt(self) -> NDArray[np.int64]:
        """Which of the sequences have a target that counts."""
        every = np.arange(len(self))
        return every if self.mask is None else every[self.mask.any(axis=-1)]

    def flat(self) -> "Sequences":
        """The sequences of all blocks, one after the other."""
        mask = None if self.mask is None else self.mask.reshape(-1, self.context)
        return Sequences(self.tokens.reshape(-1, self.context + 1), mask)


def read_shard(path: str, batch: int, context: int, vocab_size: int) -> Sequences:
    """The blocks [blocks, batch, …] of a shard, checked. Raises TensorFileError or Failure."""
    with TensorReader(path) as file:
        spec, mask_spec = file.layout.get("tokens"), file.layout.get("mask")
        if spec is None or len(file.layout) != 1 + (mask_spec is not None) or spec.dtype not in _NUMPY:
            message = "The shard must hold a tensor `tokens` of U8, U16 or U32, and perhaps a `mask`."
            raise Failure("data/bad-shard", message)
        if len(spec.shape) != 3 or spec.shape[0] < 1 or spec.shape[1:] != (batch, context + 1):
            message = f"The shard has shape {list(spec.shape)}, not [blocks, {batch}, {context + 1}]."
            raise Failure("data/bad-shard", message)
        if mask_spec is not None and (mask_spec.dtype, mask_spec.shape) != ("U8", (spec.shape[0], batch, context)):
            message = f"The mask has dtype {mask_spec.dtype} and shape {list(mask_spec.shape)}, unlike its tokens."
            raise Failure("data/bad-shard", message)
        tokens = np.frombuffer(file.read_bytes("tokens"), _NUMPY[spec.dtype]).reshape(spec.shape)
        mask = None
        if mask_spec is not None:
            mask = np.frombuffer(file.read_bytes("mask"), np.uint8).reshape(mask_spec.shape)
    if int(tokens.max()) >= vocab_size:
        raise Failure("data/bad-shard", f"The shard holds token {tokens.max()}; the vocabulary has {vocab_size}.")
    if mask is not None and int(mask.max()) > 1:
        raise Failure("data/bad-shard", f"The mask holds {mask.max()}; a target counts (1) or does not (0).")
    return Sequences(tokens, mask)
