"""The blocks of a part of a data set, and the root that binds them to a job."""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emeth.data.tokenise import Part


def merkle_root(leaves: Iterator[bytes]) -> str:
    """Root of a binary tree over leaf hashes; a node is sha256(0x01 ‖ left ‖ right), an odd last one moves up."""
    level = [hashlib.sha256(b"\0" + leaf).digest() for leaf in leaves] or [bytes(32)]
    while len(level) > 1:
        odd = level[len(level) - len(level) % 2 :]
        level = [hashlib.sha256(b"\1" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)] + odd
    return level[0].hex()


class Blocks:
    """The blocks of an epoch, without copying: sequence i of block b is sequence b + i·epochBlocks."""

    def __init__(self, part: Part, batch: int, context: int, epoch_blocks: int) -> None:
        def spread(windows: NDArray[Any]) -> NDArray[Any]:
            shape = (batch, epoch_blocks, windows.shape[-1])
            view: NDArray[Any] = windows[: batch * epoch_blocks].reshape(shape).transpose(1, 0, 2)
            return view

        tokens, mask = windows(part, context)
        self.tokens = spread(tokens)
        self.mask = None if mask is None else spread(mask)

    def hash(self, index: int) -> bytes:
        """The leaf of a block in the data root, which covers tokens and mask."""
        digest = hashlib.sha256(self.tokens[index].tobytes())
        if self.mask is not None:
            digest.update(self.mask[index].tobytes())
        return digest.digest()


def windows(part: Part, context: int) -> tuple[NDArray[Any], NDArray[np.uint8] | None]:
    """Every sequence of a part, [n, context + 1], and of its mask, which concerns targets, [n, context]."""
    view = np.lib.stride_tricks.sliding_window_view
    tokens = view(part.tokens, context + 1)[::context]
    if part.mask is None:
        return tokens, None
    return tokens, view(part.mask[1:], context)[::context]
