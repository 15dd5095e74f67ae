"""The master's side of a round: the gate that looks at an update, and the fold that turns updates into the next θ.

Both work chunk by chunk in a given order, so that memory does not grow with the number of workers and the sums come out
the same every time. Files of the fold: θ (fp32), the outer state (`<name>.error`: what the codec has not sent yet,
`<name>.momentum`, and `norms`: the last rounds' update norms) and the delta, the encoded u = θ_{r+1} − θ_r.
"""

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emeth.files.codec import CHUNK, EncodedReader, EncodedWriter, chunks, encoded_layout, raw
from emeth.files.tensors import FileRef, Layout, TensorReader, TensorSpec, TensorWriter
from emeth.wire.spec import Fold, OuterParams

# An update longer than this many times the median is scaled down to it.
NORM_LIMIT = 3.0
# Norms of so many updates of earlier rounds join the median.
NORM_MEMORY = 32
# From so many updates on, those far from the others' centre are pulled towards it.
CENTRED_FROM = 4
_CENTRE_LIMIT = 1.25
_CENTRE_STEPS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Folded:
    """What a fold wrote and how it weighed the updates."""

    theta: FileRef
    outer: FileRef
    delta: FileRef
    norms: list[float]
    clips: list[float]


def inspect_update(path: str, codec: str, theta: Layout) -> float:
    """The Euclidean norm of an update. Raises TensorFileError when the file is malformed; not finite gives NaN or ∞."""
    reader = EncodedReader(path, codec, theta)
    try:
        return math.sqrt(_gram([reader], theta)[0, 0])
    finally:
        reader.close()


def fold(command: Fold, codec: str, theta: Layout, params: OuterParams) -> Folded:
    """Average the updates, take the outer step, and write θ_{r+1}, the outer state and the delta."""
    with ExitStack() as stack:
        readers = [EncodedReader(update.path, codec, theta) for update in command.updates]
        for reader in readers:
            stack.callback(reader.close)
        old_theta = stack.enter_context(TensorReader(command.theta, theta))
        old_outer = _open_outer(command.outer, theta)
        if old_outer is not None:
            stack.enter_context(old_outer)

        gram = _gram(readers, theta)
        norms = np.sqrt(np.diag(gram))
        history = _norms_of(old_outer)
        share = np.array([update.weight for update in command.updates])
        weights, clips = robust_weights(gram, share / share.sum(), history)

        kept = np.concatenate([history, norms])[-NORM_MEMORY:].astype(np.float32)
        with (
            TensorWriter(command.theta_out, theta) as theta_file,
            TensorWriter(command.outer_out, _outer_layout(theta, len(kept))) as outer_file,
            TensorWriter(command.delta_out, encoded_layout(codec, theta)) as delta_file,
        ):
            step = _Step(readers, weights, old_theta, old_outer, params, command.scale)
            delta = EncodedWriter(delta_file, codec)
            for name, spec in theta.items():
                step.run(name, spec.count, theta_file, outer_file, delta)
                delta.end_tensor()
            outer_file.write(kept)
    return Folded(
        theta=theta_file.done(),
        outer=outer_file.done(),
        delta=delta_file.done(),
        norms=norms.tolist(),
        clips=clips.tolist(),
    )


def robust_weights(
    gram: NDArray[np.float64], share: NDArray[np.float64], earlier_norms: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The factor each update gets in the sum, and how much it was clipped (1: not at all).

    First norms are clipped to NORM_LIMIT medians. From four updates on a centred clip follows (Karimireddy et al.,
    2012.10333), started at the update with the smallest median distance to the others: an update farther from the
    centre than 1.25 median distances counts only up to there. As every centre is a combination of the updates, all
    distances follow from their inner products alone, and no update is read again.
    """
    norms = np.sqrt(np.diag(gram))
    median = float(np.median(np.concatenate([earlier_norms, norms])))
    scale = np.minimum(1.0, NORM_LIMIT * median / np.maximum(norms, 1e-300))
    if len(share) < CENTRED_FROM:
        return share * scale, scale
    gram = gram * np.outer(scale, scale)
    centre = np.zeros(len(share))
    centre[np.argmin(np.median(_pair_distances(gram), axis=1))] = 1.0
    pull = np.ones(len(share))
    for _ in range(_CENTRE_STEPS):
        distances = np.sqrt(np.maximum(np.diag(gram) - 2 * gram @ centre + centre @ gram @ centre, 0.0))
        pull = np.minimum(1.0, _CENTRE_LIMIT * np.median(distances) / np.maximum(distances, 1e-300))
        centre = centre * (1 - share @ pull) + share * pull
    return centre * scale, scale * pull


def _pair_distances(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    squares = np.diag(gram)
    result: NDArray[np.float64] = np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2 * gram, 0.0))
    return result


def _gram(readers: Sequence[EncodedReader], theta: Layout) -> NDArray[np.float64]:
    """Inner products of all pairs of updates; only the diagonal when fewer than four need it."""
    num = len(readers)
    gram = np.zeros((num, num))
    rows = torch.empty(num if num >= CENTRED_FROM else 1, _row_length(num))
    for name, spec in theta.items():
        for start, end in _ranges(spec.count, rows.shape[1]):
            if num >= CENTRED_FROM:
                block = rows[:, : end - start]
                for i, reader in enumerate(readers):
                    reader.read(name, start, block[i])
                gram += (block @ block.T).double().numpy()
            else:
                row = rows[0, : end - start]
                for i, reader in enumerate(readers):
                    reader.read(name, start, row)
                    gram[i, i] += float(torch.dot(row, row))
    return gram


def _row_length(num: int) -> int:
    """Numbers of each update held at once: at most 16 MiB for all of them, in whole codec blocks."""
    if num < CENTRED_FROM:
        return CHUNK
    return max(4096, min(CHUNK, 4 * 1024 * 1024 // num) // 256 * 256)


def _ranges(count: int, length: int) -> list[tuple[int, int]]:
    return [(start, min(start + length, count)) for start in range(0, count, length)]


class _Step:
    """The outer step on one chunk after the other, with the buffers it needs."""

    def __init__(  # noqa: PLR0913 - six things, each used by every chunk
        self,
        readers: Sequence[EncodedReader],
        weights: NDArray[np.float64],
        old_theta: TensorReader,
        old_outer: TensorReader | None,
        params: OuterParams,
        scale: float,
    ) -> None:
        self._readers = readers
        self._weights = weights
        self._old_theta = old_theta
        self._old_outer = old_outer
        self._momentum = params.momentum
        self._rate = params.lr * scale
        self._scratch = torch.empty(4, CHUNK)

    def run(self, name: str, count: int, theta: TensorWriter, outer: TensorWriter, delta: EncodedWriter) -> None:
        """Nesterov SGD on the mean pseudo-gradient: m ← μ·m + g, u = −lr·(g + μ·m) + what the codec still owes."""
        momenta = torch.empty(count)
        for start, end in chunks(count):
            mean, update, decoded, before = self._scratch[:, : end - start]
            self._average(name, start, mean, update)
            momentum = momenta[start:end]
            self._read_outer(f"{name}.momentum", start, momentum)
            momentum.mul_(self._momentum).add_(mean)
            self._read_outer(f"{name}.error", start, update)
            update.add_(mean.add_(momentum, alpha=self._momentum), alpha=-self._rate)
            delta.write(update, decoded)
            outer.write(raw(update.sub_(decoded)))
            self._old_theta.read_into(name, start, raw(before))
            theta.write(raw(before.add_(decoded)))
        outer.write(raw(momenta))

    def _average(self, name: str, start: int, mean: Tensor, scratch: Tensor) -> None:
        mean.zero_()
        for reader, weight in zip(self._readers, self._weights, strict=True):
            reader.read(name, start, scratch)
            mean.add_(scratch, alpha=float(weight))

    def _read_outer(self, name: str, start: int, out: Tensor) -> None:
        if self._old_outer is None:
            out.zero_()
        else:
            self._old_outer.read_into(name, start, raw(out))


def _outer_layout(theta: Layout, num_norms: int) -> dict[str, TensorSpec]:
    layout = {}
    for name, spec in theta.items():
        layout[f"{name}.error"] = spec
        layout[f"{name}.momentum"] = spec
    layout["norms"] = TensorSpec("F32", (num_norms,))
    return layout


def _open_outer(path: str | None, theta: Layout) -> TensorReader | None:
    if path is None:
        return None
    with TensorReader(path) as file:
        norms = file.layout.get("norms", TensorSpec("F32", (0,)))
    return TensorReader(path, _outer_layout(theta, norms.count))


def _norms_of(outer: TensorReader | None) -> NDArray[np.float64]:
    if outer is None:
        return np.empty(0)
    return np.frombuffer(outer.read_bytes("norms"), np.float32).astype(np.float64)
