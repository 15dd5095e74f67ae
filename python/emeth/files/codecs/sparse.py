"""`sparse`: the 64 greatest of every 4,096 numbers, by magnitude, in 100 bytes; all others are zero.

A tensor's numbers are taken in groups of 4,096; the last may be shorter, and a group of n numbers keeps min(64, n). Of
equal magnitudes the first ones are kept. What is kept is stored in the order of the tensor:

- `<name>.count`, U8: how many are kept of each run of 256 numbers; the last run of a tensor may be shorter;
- `<name>.index`, U8: the place of each in its run;
- `<name>.q`, U8: its code of two bits, packed as `packed` in `blocks.py` says;
- `<name>.scale`, BF16: a and b of one group after the other.

Codes and levels are those of `levels.py`; a number that is kept is ±a ± b, rounded once.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from emeth.files.codecs.blocks import in_blocks, num_blocks, packed, require_scales, unpacked
from emeth.files.codecs.levels import fit_levels, signs_of
from emeth.files.codecs.protocol import GROUP, Part, require

KEPT = 64
_RUN = 256


def num_groups(count: int) -> int:
    """Groups of so many numbers."""
    return -(-count // GROUP)


def num_kept(count: int) -> int:
    """Kept of so many numbers."""
    return count // GROUP * KEPT + min(KEPT, count % GROUP)


class Sparse:
    """0.0245 bytes a number."""

    parts = (
        Part(".index", "U8", num_kept),
        Part(".count", "U8", num_blocks),
        Part(".q", "U8", lambda count: -(-num_kept(count) // 4)),
        Part(".scale", "BF16", lambda count: 2 * num_groups(count)),
    )

    def encode(self, values: Tensor) -> tuple[Tensor, ...]:
        count = values.numel()
        places = _places_of_greatest(values)
        kept = values[places]
        lengths = torch.full((num_groups(count),), float(KEPT), device=values.device)
        lengths[-1] = num_kept(count) - KEPT * (len(lengths) - 1)
        codes, pairs = fit_levels(in_blocks(kept, KEPT), lengths)
        counts = torch.bincount(places // _RUN, minlength=num_blocks(count))
        codes = codes.view(-1)[: len(kept)]
        return (places % _RUN).to(torch.uint8), counts.to(torch.uint8), packed(codes, 2), pairs.view(-1)

    def decode(self, parts: Sequence[Tensor], out: Tensor, factor: float = 1.0) -> None:
        indices, counts, payload, scales = parts
        require_scales(scales)
        places = _places_in(indices, counts, out.numel())
        pairs = scales.float().mul_(factor).view(-1, 2).repeat_interleave(KEPT, dim=0)[: len(indices)]
        signs_a, signs_b = signs_of(unpacked(payload, 2, len(indices)))
        out.zero_()
        out[places] = signs_a * pairs[:, 0] + signs_b * pairs[:, 1]


def _places_of_greatest(values: Tensor) -> Tensor:
    """Where the greatest magnitudes of each group lie, in rising order."""
    # What is not a number comes first, so that it is kept and shows.
    sizes = values.abs().nan_to_num_(torch.inf, torch.inf)
    full = values.numel() // GROUP * GROUP
    places = _places_in_rows(sizes[:full].view(-1, GROUP), KEPT)
    if full == values.numel():
        return places
    rest = sizes[full:].view(1, -1)
    return torch.cat([places, full + _places_in_rows(rest, min(KEPT, rest.numel()))])


def _places_in_rows(rows: Tensor, num: int) -> Tensor:
    if rows.numel() == 0:
        return torch.empty(0, dtype=torch.int64, device=rows.device)
    least = _nth_greatest(rows, num)[:, None]
    places = _places_where(rows >= least)
    if len(places) == num * len(rows):
        return places
    # Some are as great as the last one that is kept.
    more, equal = rows > least, rows == least
    room = num - more.sum(dim=1, keepdim=True)
    return _places_where(more | (equal & (equal.cumsum(dim=1) <= room)))


def _places_where(chosen: Tensor) -> Tensor:
    if chosen.device.type != "cpu":
        return chosen.view(-1).nonzero().view(-1)
    return torch.from_numpy(np.flatnonzero(chosen.numpy()))  # six times as fast


def _nth_greatest(rows: Tensor, num: int) -> Tensor:
    if rows.device.type != "cpu":
        return rows.topk(num, dim=1).values[:, -1]
    at = rows.shape[1] - num
    return torch.from_numpy(np.partition(rows.numpy(), at, axis=1)[:, at].copy())


def _places_in(indices: Tensor, counts: Tensor, count: int) -> Tensor:
    require(counts.sum() == len(indices), "An update keeps more or fewer numbers than it lists.")
    runs = torch.arange(len(counts), device=counts.device).repeat_interleave(counts.long())
    places = _RUN * runs + indices
    require(places[1:] > places[:-1], "An update lists numbers twice or out of order.")
    require(places[-1:] < count, "An update lists numbers beyond the end of a tensor.")
    return places
