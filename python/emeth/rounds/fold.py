"""The fold that turns the updates of a round into the next θ.

It works chunk by chunk, each by one of its threads, with the updates in a given order: memory does not grow with the
number of workers or the size of tensors, and the sums come out the same every time; given its weights, on every
machine. Files of the fold: θ (fp32), the outer state (`<name>.error`: what the codec has not sent yet,
`<name>.momentum`, and `norms`: the last rounds' update norms) and the delta, the encoded u = θ_{r+1} − θ_r.
"""

import threading
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emeth.files.codec import CHUNK, Buffers, EncodedReader, EncodedWriter, chunks, raw
from emeth.files.codecs.names import CODECS
from emeth.files.tensors import FileRef, Layout, TensorReader, TensorSpec, TensorWriter
from emeth.files.threads import in_threads
from emeth.rounds.update_norms import inner_products, robust_weights
from emeth.wire.commands import Fold
from emeth.wire.params import CodecName, OuterParams

# The norms of this many earlier updates join the median.
NORM_MEMORY = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Folded:
    """What a fold wrote and how it weighed the updates. The outer state has no name: nobody else ever gets it."""

    theta: FileRef
    outer: str
    delta: FileRef
    norms: list[float]
    clips: list[float]
    weights: list[float]


def fold(command: Fold, codec: CodecName, theta: Layout, params: OuterParams) -> Folded:
    """Average the updates, take the outer step, and write θ_{r+1}, the outer state and the delta."""
    with ExitStack() as stack:
        buffers = Buffers(codec)
        readers = [stack.enter_context(EncodedReader(each.path, codec, theta, buffers)) for each in command.updates]
        old_theta = stack.enter_context(TensorReader(command.theta, theta))
        old_outer = _open_outer(command.outer, theta)
        if old_outer is not None:
            stack.enter_context(old_outer)

        gram = inner_products(readers, theta)
        norms = np.sqrt(np.diag(gram))
        history = _norms_of(old_outer)
        share = np.array([update.weight for update in command.updates])
        weights, clips = robust_weights(gram, share / share.sum(), history)

        kept = np.concatenate([history, norms])[-NORM_MEMORY:].astype(np.float32)
        used = weights if command.weights is None else np.array(command.weights)
        with (
            TensorWriter(command.theta_out, theta) as theta_file,
            TensorWriter(command.outer_out, _outer_layout(theta, len(kept)), hashed=False) as outer_file,
            EncodedWriter(command.delta_out, codec, theta) as delta_file,
        ):
            before = _Before(readers, used, old_theta, old_outer)
            step = _Step(codec, before, _After(theta_file, outer_file, delta_file), params, command.scale)
            step.run(theta)
            outer_file.write(kept)
    return Folded(
        theta=theta_file.done(),
        outer=command.outer_out,
        delta=delta_file.done(),
        norms=norms.tolist(),
        clips=clips.tolist(),
        weights=weights.tolist(),
    )


@dataclass(frozen=True, slots=True)
class _Before:
    """What a fold reads."""

    updates: Sequence[EncodedReader]
    weights: NDArray[np.float64]
    theta: TensorReader
    outer: TensorReader | None


@dataclass(frozen=True, slots=True)
class _After:
    """What a fold writes."""

    theta: TensorWriter
    outer: TensorWriter
    delta: EncodedWriter


class _Scratch(threading.local):
    """The chunks that a thread works with."""

    def __init__(self) -> None:
        self.rows = torch.empty(4, CHUNK)


class _Step:
    """The outer step on one chunk after the other.

    Every operation is elementwise and rounds once, never `add(…, alpha=…)`, which some processors fuse and some do not:
    so the same weights give the same bits with any number of threads and any vector instructions.
    """

    def __init__(self, codec: CodecName, before: _Before, after: _After, params: OuterParams, scale: float) -> None:
        self._codec = CODECS[codec]
        self._before = before
        self._after = after
        self._momentum = params.momentum
        self._rate = params.lr * scale
        self._scratch = _Scratch()

    def run(self, theta: Layout) -> None:
        """Step by step through all tensors."""
        pieces = [(name, start, end) for name, spec in theta.items() for start, end in chunks(spec.count)]
        with closing(in_threads(self._run_chunk, pieces)) as results:
            for (name, _, end), _ in zip(pieces, results, strict=True):
                if end == theta[name].count:
                    self._after.theta.seal(name)
                    self._after.outer.seal(f"{name}.error")
                    self._after.outer.seal(f"{name}.momentum")
                    self._after.delta.seal_chunks(name)

    def _run_chunk(self, piece: tuple[str, int, int]) -> None:
        """Nesterov SGD on the mean pseudo-gradient: m ← μ·m + g, u = −lr·(g + μ·m) + what the codec still owes."""
        name, start, end = piece
        mean, momentum, update, other = self._scratch.rows[:, : end - start]
        self._average(name, start, mean, other)
        self._read_outer(f"{name}.momentum", start, momentum)
        momentum.mul_(self._momentum).add_(mean)
        self._after.outer.put(f"{name}.momentum", start, raw(momentum))
        mean.add_(momentum.mul_(self._momentum)).mul_(self._rate)
        self._read_outer(f"{name}.error", start, update)
        parts = self._codec.encode(update.sub_(mean))
        self._after.delta.put_chunk(name, start, parts)
        decoded = mean
        self._codec.decode(parts, decoded)
        self._after.outer.put(f"{name}.error", start, raw(update.sub_(decoded)))
        self._before.theta.read_into(name, start, raw(other))
        self._after.theta.put(name, start, raw(other.add_(decoded)))

    def _average(self, name: str, start: int, mean: Tensor, scratch: Tensor) -> None:
        mean.zero_()
        for reader, weight in zip(self._before.updates, self._before.weights, strict=True):
            reader.read(name, start, scratch, float(weight))
            mean.add_(scratch)

    def _read_outer(self, name: str, start: int, out: Tensor) -> None:
        if self._before.outer is None:
            out.zero_()
        else:
            self._before.outer.read_into(name, start, raw(out))


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
