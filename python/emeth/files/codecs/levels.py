"""Four levels, ±a ± b, fitted to the numbers of a row: what `int2` and `sparse` round to.

A code of two bits says which: bit 0 the sign of a, bit 1 that of b (1: minus). a + b and a − b are the mean magnitudes
of the row's larger and smaller numbers, those above and below its mean magnitude; both a and b are rounded to bf16, and
0 if a is below 2⁻¹²⁶. A number takes the level of its own sign whose magnitude is on its side of a.
"""

import torch
from torch import Tensor

from emeth.files.codecs.blocks import MIN_SCALE, row_sums, sign_mask


def fit_levels(rows: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Codes of the rows' numbers (uint8), and a and b of each row (bf16).

    The rows' width is a power of two; `lengths` says how many numbers each has, zeros follow them.
    """
    sizes = rows.abs()
    sums = row_sums(sizes)
    above = sign_mask((sums / lengths)[:, None] - sizes)
    num_above = -above.sum(dim=1, dtype=torch.int32)
    sums_above = row_sums(above.bitwise_and_(sizes.view(torch.int32)).view(torch.float32))
    large = sums_above / num_above.clamp(min=1)
    small = (sums - sums_above) / (lengths - num_above).clamp_(min=1)
    # Where all are alike none is above the mean.
    large = torch.where(num_above == 0, small, large)
    pairs = torch.stack([large + small, large - small], dim=1).mul_(0.5).to(torch.bfloat16)
    pairs = torch.where(pairs[:, :1] < MIN_SCALE, 0.0, pairs)
    is_large = sign_mask(pairs[:, :1].float() - sizes).to(torch.int8)
    minus = sign_mask(rows).to(torch.int8)
    codes = is_large.bitwise_xor_(minus).bitwise_not_().bitwise_and_(2).bitwise_or_(minus.bitwise_and_(1))
    return codes.view(torch.uint8), pairs


def signs_of(codes: Tensor) -> tuple[Tensor, Tensor]:
    """The signs of a and b, 1 or −1, as int8. Whatever lies above a code's two bits does not count."""
    return (1 - (codes << 1).bitwise_and_(2)).view(torch.int8), (1 - (codes & 2)).view(torch.int8)
