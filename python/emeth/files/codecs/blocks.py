"""What the codecs share that store a few bits a number and a scale for each block of 256."""

import torch
from torch import Tensor

from emeth.files.tensors import TensorFileError

BLOCK = 256
# Below this a scale would be subnormal and its reciprocal infinite: such a block counts as zero.
MIN_SCALE = 2.0**-126


def num_blocks(count: int) -> int:
    """Blocks of so many numbers."""
    return -(-count // BLOCK)


def in_blocks(values: Tensor, block: int = BLOCK) -> Tensor:
    """The numbers as rows of a block each, the last filled up with zeros."""
    missing = -values.numel() % block
    if missing:
        values = torch.cat([values, values.new_zeros(missing)])
    return values.view(-1, block)


def block_lengths(values: Tensor, block: int = BLOCK) -> Tensor:
    """How many numbers each block has."""
    count = values.numel()
    lengths = torch.full((-(-count // block),), float(block), device=values.device)
    if count % block:
        lengths[-1] = count % block
    return lengths


def times_scales(integers: Tensor, scales: Tensor, out: Tensor) -> None:
    """int8 numbers times the scale of their block: exact conversions, and one rounding each."""
    full = integers.numel() // BLOCK * BLOCK
    # Converted first: a product of two types would convert into a buffer of its own.
    out.copy_(integers)
    out[:full].view(-1, BLOCK).mul_(scales[: full // BLOCK, None])
    if full < integers.numel():
        out[full:].mul_(scales[-1])


def require_scales(scales: Tensor) -> None:
    """Raise TensorFileError for a scale that no encoder makes. One that is not finite shows in the numbers."""
    if scales.numel() and float(scales.min()) < 0:
        raise TensorFileError("An update has a negative scale.")


def row_sums(rows: Tensor) -> Tensor:
    """The sum of each row, whose length is a power of two, by halves: an order that no processor chooses."""
    width = rows.shape[1]
    while width > 16:
        width //= 2
        rows = rows[:, :width] + rows[:, width : 2 * width]
    columns = rows.t().contiguous()
    while width > 1:
        width //= 2
        columns = columns[:width] + columns[width : 2 * width]
    return columns[0]


def sign_mask(values: Tensor) -> Tensor:
    """−1 (all bits) where the sign of a fp32 number is minus, else 0; many times faster than a comparison."""
    return values.view(torch.int32) >> 31


def packed(codes: Tensor, bits: int) -> Tensor:
    """Codes of 2 or 4 bits, one a byte, packed into as few bytes.

    Of P = 8 ÷ bits runs of 256 codes, byte i holds the i-th code of each run, the first in its lowest bits. What is
    left is cut into P runs as short as they can be, the last filled up with zeros.
    """
    planes = 8 // bits
    full = codes.numel() // (planes * BLOCK) * planes * BLOCK
    rest = codes[full:]
    missing = -rest.numel() % planes
    if missing:
        rest = torch.cat([rest, rest.new_zeros(missing)])
    whole = _merged(codes[:full].view(-1, planes, BLOCK), bits)
    return torch.cat([whole, _merged(rest.view(1, planes, -1), bits)])


def unpacked(payload: Tensor, bits: int, count: int) -> Tensor:
    """The bytes of so many codes, one code a byte; bits above a code's own are those of its neighbours."""
    planes = 8 // bits
    full = count // (planes * BLOCK) * planes * BLOCK
    rest = -(-(count - full) // planes)
    codes = torch.empty(full + planes * rest, dtype=torch.uint8, device=payload.device)
    for plane in range(planes):
        torch.bitwise_right_shift(
            payload[: full // planes].view(-1, BLOCK), bits * plane, out=codes[:full].view(-1, planes, BLOCK)[:, plane]
        )
        torch.bitwise_right_shift(payload[full // planes :], bits * plane, out=codes[full:].view(planes, rest)[plane])
    return codes[:count]


def _merged(codes: Tensor, bits: int) -> Tensor:
    result = codes[:, 0].clone()
    for plane in range(1, codes.shape[1]):
        result |= codes[:, plane] << (bits * plane)
    return result.view(-1)
