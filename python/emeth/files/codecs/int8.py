"""`int8`: a byte a number, and a fp32 scale for each block of 256.

`<name>.q`, I8, of the tensor's own shape: q = the number ÷ its block's scale, rounded to the nearest integer (of two as
near, the even one), from −127 to 127. `<name>.scale`, F32: the block's greatest magnitude ÷ 127, and 0 if that is below
2⁻¹²⁶. A number is q · scale.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from emeth.files.codecs.blocks import MIN_SCALE, in_blocks, num_blocks, require_scales, times_scales
from emeth.files.codecs.protocol import Part


class Int8:
    """1.016 bytes a number; errs by half a step of its block at most."""

    parts = (Part(".q", "I8", lambda count: count, shaped=True), Part(".scale", "F32", num_blocks))

    def encode(self, values: Tensor) -> tuple[Tensor, ...]:
        blocks = in_blocks(values)
        scales = blocks.abs().amax(dim=1) / 127
        scales = torch.where(scales < MIN_SCALE, 0.0, scales)
        # The division may round to just above 127 when the scale itself was rounded down.
        divisors = torch.where(scales == 0, torch.inf, scales)
        payload = (blocks / divisors[:, None]).round_().clamp_(-127, 127).to(torch.int8)
        return payload.view(-1)[: values.numel()], scales

    def decode(self, parts: Sequence[Tensor], out: Tensor, factor: float = 1.0) -> None:
        payload, scales = parts
        require_scales(scales)
        times_scales(payload, scales * factor, out)
