"""`int4`: half a byte a number, and a bf16 scale for each block of 256.

The sixteen levels of a block are ±1, ±3 … ±15 times its scale, which is its greatest magnitude ÷ 16, rounded to bf16,
and 0 if that is below 2⁻¹²⁶. `<name>.q`, U8: codes c of four bits, packed as `packed` in `blocks.py` says; a number is
(2c − 15) · scale. `<name>.scale`, BF16. On updates of AdamW this errs a quarter less than fifteen levels with a zero.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from emeth.files.codecs.blocks import MIN_SCALE, in_blocks, num_blocks, packed, require_scales, times_scales, unpacked
from emeth.files.codecs.protocol import Part


class Int4:
    """0.508 bytes a number."""

    parts = (Part(".q", "U8", lambda count: -(-count // 2)), Part(".scale", "BF16", num_blocks))

    def encode(self, values: Tensor) -> tuple[Tensor, ...]:
        blocks = in_blocks(values)
        scales = (blocks.abs().amax(dim=1) / 16).to(torch.bfloat16)
        scales = torch.where(scales < MIN_SCALE, 0.0, scales)
        steps = torch.where(scales == 0, torch.inf, 2 * scales.float())
        codes = (blocks / steps[:, None]).floor_().clamp_(-8, 7).to(torch.int8).view(torch.uint8).add_(8)
        return packed(codes.view(-1)[: values.numel()], 4), scales

    def decode(self, parts: Sequence[Tensor], out: Tensor, factor: float = 1.0) -> None:
        payload, scales = parts
        require_scales(scales)
        levels = unpacked(payload, 4, out.numel()).bitwise_and_(15).mul_(2).sub_(15).view(torch.int8)
        times_scales(levels, scales.float().mul_(factor), out)
