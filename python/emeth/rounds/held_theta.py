"""The θ that a `train` child holds between rounds: in a file, so that memory is left to the model and its optimiser."""

from pathlib import Path

import torch
from torch import Tensor

from emeth.files.codec import CHUNK, EncodedReader, chunks, raw
from emeth.files.tensors import FileRef, Layout, TensorFileError, TensorReader, TensorWriter, sha256_of
from emeth.wire.commands import DeltaTheta, WholeTheta
from emeth.wire.events import Failure
from emeth.wire.params import CodecName


class HeldTheta:
    """θ_r, named by its hash; the next one is taken whole, or made from it by a delta."""

    def __init__(self, layout: Layout, codec: CodecName, directory: str) -> None:
        self._layout = layout
        self._codec = codec
        self._directory = directory
        # One name for all, so that what a process leaves that is killed while it writes is written over by the next.
        self._path = f"{directory}/theta-next.safetensors"
        self._file: TensorReader | None = None
        self._sha256 = ""

    def take(self, source: WholeTheta | DeltaTheta) -> None:
        """Make the θ of a command the held one. Raises a Failure when it does not hash to its name."""
        if source.sha256 == self._sha256:
            return
        if isinstance(source, DeltaTheta):
            self._apply(source)
        elif sha256_of(source.path) != source.sha256:
            raise Failure("model/wrong-hash", f"The θ file does not hash to {source.sha256}.")
        else:
            self._hold(source.path, source.sha256)

    def read(self, name: str) -> Tensor:
        """A tensor of the held θ."""
        if self._file is None:
            raise TensorFileError("No θ has been taken yet.")
        tensor = torch.empty(self._layout[name].shape)
        self._file.read_into(name, 0, raw(tensor))
        return tensor

    def _apply(self, source: DeltaTheta) -> None:
        if source.base != self._sha256 and source.base_path is not None:
            self._take_base(source.base_path, source.base)
        if source.base != self._sha256 or self._file is None:
            held = self._sha256 or "none"
            raise Failure("model/wrong-base", f"The delta is for θ {source.base}; this child holds {held}.")
        self._drop_all_but(source.base)
        made = self._write_sum(source.delta, self._file)
        if made.sha256 != source.sha256:
            Path(made.path).unlink()
            raise Failure("model/wrong-hash", f"θ after the delta hashes to {made.sha256}, not {source.sha256}.")
        self._hold(made.path, made.sha256)
        # The worker's next process begins from it.
        Path(made.path).rename(f"{self._directory}/theta-{made.sha256}.safetensors")

    def _take_base(self, path: str, sha256: str) -> None:
        """What a child before this one has left."""
        if sha256_of(path) != sha256:
            raise Failure("model/wrong-hash", f"The kept θ does not hash to {sha256}.")
        self._hold(path, sha256)

    def _drop_all_but(self, sha256: str) -> None:
        """Room for the next θ; this one stays, as the worker's next process begins from it if this one is killed."""
        for path in Path(self._directory).glob(f"theta-{'?' * 64}.safetensors"):
            if path.name != f"theta-{sha256}.safetensors":
                path.unlink(missing_ok=True)

    def _write_sum(self, path: str, held: TensorReader) -> FileRef:
        values, decoded = torch.empty(2, CHUNK)
        with EncodedReader(path, self._codec, self._layout) as delta, TensorWriter(self._path, self._layout) as file:
            for name, spec in self._layout.items():
                for start, end in chunks(spec.count):
                    piece, step = values[: end - start], decoded[: end - start]
                    held.read_into(name, start, raw(piece))
                    delta.read(name, start, step)
                    file.write(raw(piece.add_(step)))
        return file.done()

    def _hold(self, path: str, sha256: str) -> None:
        """The file stays readable while it is open, whatever becomes of its name."""
        file = TensorReader(path, self._layout)
        if self._file is not None:
            self._file.close()
        self._file, self._sha256 = file, sha256
