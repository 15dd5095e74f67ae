"""The fold that turns the updates of a round into the next θ.

It works chunk by chunk in a given order, so that memory does not grow with the number of workers and the sums come out
the same every time; given its weights, on every machine. Files of the fold: θ (fp32), the outer state (`<name>.error`:
what the codec has not sent yet, `<name>.momentum`, and `norms`: the last rounds' update norms) and the delta, the
encoded u = θ_{r+1} − θ_r.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emeth.files.codec import CHUNK, EncodedReader, EncodedWriter, chunks, encoded_layout, raw
from emeth.files.codecs.names import CODECS
from emeth.files.codecs.protocol import Codec
from emeth.files.tensors import FileRef, Layout, TensorReader, TensorSpec, TensorWriter
from emeth.rounds.update_norms import inner_products, robust_weights
from emeth.wire.commands import Fold
from emeth.wire.params import CodecName, OuterParams

# The norms of this many earlier updates join the median.
NORM_MEMORY = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Folded:
    """What a fold wrote and how it weighed the updates."""

    theta: FileRef
    outer: FileRef
    delta: FileRef
    norms: list[float]
    clips: list[float]
    weights: list[float]


def fold(command: Fold, codec: CodecName, theta: Layout, params: OuterParams) -> Folded:
    """Average the updates, take the outer step, and write θ_{r+1}, the outer state and the delta."""
    with ExitStack() as stack:
        readers = [stack.enter_context(EncodedReader(update.path, codec, theta)) for update in command.updates]
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
        with (
            TensorWriter(command.theta_out, theta) as theta_file,
            TensorWriter(command.outer_out, _outer_layout(theta, len(kept))) as outer_file,
            TensorWriter(command.delta_out, encoded_layout(codec, theta)) as delta_file,
        ):
            used = weights if command.weights is None else np.array(command.weights)
            step = _Step(CODECS[codec], readers, used, old_theta, old_outer, params, command.scale)
            delta = EncodedWriter(delta_file)
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
        weights=weights.tolist(),
    )


class _Step:
    """The outer step on one chunk after the other, with the buffers it needs.

    Every operation is elementwise and rounds once, never `add(…, alpha=…)`, which some processors fuse and some do not:
    so the same weights give the same bits with any number of threads and any vector instructions.
    """

    def __init__(  # noqa: PLR0913 - seven things, each used by every chunk
        self,
        codec: Codec,
        readers: Sequence[EncodedReader],
        weights: NDArray[np.float64],
        old_theta: TensorReader,
        old_outer: TensorReader | None,
        params: OuterParams,
        scale: float,
    ) -> None:
        self._codec = codec
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
            mean.add_(torch.mul(momentum, self._momentum, out=decoded)).mul_(self._rate)
            self._read_outer(f"{name}.error", start, update)
            parts = self._codec.encode(update.sub_(mean))
            delta.write(parts)
            self._codec.decode(parts, decoded)
            outer.write(raw(update.sub_(decoded)))
            self._old_theta.read_into(name, start, raw(before))
            theta.write(raw(before.add_(decoded)))
        outer.write(raw(momenta))

    def _average(self, name: str, start: int, mean: Tensor, scratch: Tensor) -> None:
        mean.zero_()
        for reader, weight in zip(self._readers, self._weights, strict=True):
            reader.read(name, start, scratch, float(weight))
            mean.add_(scratch)

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
