"""`int2`: a quarter of a byte a number, and four levels of its own for each block of 256.

`<name>.q`, U8: codes of two bits, packed as `packed` in `blocks.py` says. `<name>.scale`, BF16: a and b of one block
after the other. Codes and levels are those of `levels.py`; a number is ±a ± b, rounded once. On updates of AdamW this
errs a sixth less than four levels at equal distances, and it keeps the zeros of a block that has few other numbers.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from emeth.files.codecs.blocks import (
    block_lengths,
    in_blocks,
    num_blocks,
    packed,
    require_scales,
    times_scales,
    unpacked,
)
from emeth.files.codecs.levels import fit_levels, signs_of
from emeth.files.codecs.protocol import Part


class Int2:
    """0.266 bytes a number."""

    parts = (
        Part(".q", "U8", lambda count: -(-count // 4)),
        Part(".scale", "BF16", lambda count: 2 * num_blocks(count)),
    )

    def encode(self, values: Tensor) -> tuple[Tensor, ...]:
        codes, pairs = fit_levels(in_blocks(values), block_lengths(values))
        return packed(codes.view(-1)[: values.numel()], 2), pairs.view(-1)

    def decode(self, parts: Sequence[Tensor], out: Tensor, factor: float = 1.0) -> None:
        payload, scales = parts
        require_scales(scales)
        pairs = scales.float().mul_(factor).view(-1, 2).t().contiguous()
        signs_a, signs_b = signs_of(unpacked(payload, 2, out.numel()))
        times_scales(signs_a, pairs[0], out)
        other = torch.empty_like(out)
        times_scales(signs_b, pairs[1], other)
        out.add_(other)
