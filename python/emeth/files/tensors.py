"""Safetensors files, read and written a piece at a time, so that no file ever has to fit in memory.

Writing is deterministic: the same tensors give the same bytes, which is what lets a file's sha256 name a model.
Reading is strict: a file is accepted only if it holds exactly the tensors expected, without a gap or a spare byte.
Nothing is ever unpickled. `torch` is not imported here: bytes go in and out of any buffer.
"""

import hashlib
import itertools
import json
import math
import os
import struct
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from typing_extensions import Self

# All that a base may hold; what is read as numbers is F32, F16 and BF16 alone.
DTYPE_BYTES = {
    **dict.fromkeys(("F64", "I64", "U64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("BOOL", "I8", "U8", "F8_E4M3", "F8_E5M2"), 1),
}
# The metadata that transformers expects of a PyTorch file; in every file, so that θ and its export are the same bytes.
METADATA = {"format": "pt"}
_BACKGROUND_BYTES = 128 * 1024
_PIECE_BYTES = 1024 * 1024
_MAX_HEADER_BYTES = 16 * 1024 * 1024


class TensorFileError(Exception):
    """The file is not the one expected; the message is a sentence that says why."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Dtype (by its safetensors name) and shape of one tensor."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        return math.prod(self.shape)

    @property
    def num_bytes(self) -> int:
        return self.count * DTYPE_BYTES[self.dtype]


Layout = Mapping[str, TensorSpec]


@dataclass(frozen=True, slots=True)
class FileRef:
    """A finished file and what its bytes hash to."""

    path: str
    sha256: str
    bytes: int

    def json(self) -> dict[str, str | int]:
        return {"path": self.path, "sha256": self.sha256, "bytes": self.bytes}


def header_bytes(layout: Layout) -> bytes:
    """The head of a file whose tensors lie in the order of the layout."""
    entries: dict[str, object] = {"__metadata__": METADATA}
    offset = 0
    for name, spec in layout.items():
        entries[name] = {
            "dtype": spec.dtype,
            "shape": list(spec.shape),
            "data_offsets": [offset, offset + spec.num_bytes],
        }
        offset += spec.num_bytes
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def _offsets(layout: Layout, start: int) -> list[int]:
    """Where each tensor's bytes begin."""
    return list(itertools.accumulate((spec.num_bytes for spec in layout.values()), initial=start))[:-1]


class TensorWriter:
    """Writes a file that appears under its name only when it is whole.

    It is written front to back by `write`, or in any order and by several threads by `put`; then `seal` says, tensor
    after tensor, what is complete. Both may be used in one file. Making it durable is left to whoever keeps it: a file
    that is lost with the power is made again. Without its `hashed` it has no `done`: whoever keeps it names it.
    """

    def __init__(self, path: str, layout: Layout, *, hashed: bool = True) -> None:
        self._path = path
        self._part = f"{path}.part"
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._file = Path(self._part).open("w+b", buffering=0)  # noqa: SIM115 - closed in __exit__
        self._layout = layout
        self._sha256 = hashlib.sha256() if hashed else None
        self._bytes = 0
        # Large pieces are hashed and written beside the computation of the next one.
        self._pool = ThreadPoolExecutor(1)
        self._pending: list[Future[None]] = []
        header = header_bytes(layout)
        self._offsets = dict(zip(layout, _offsets(layout, len(header)), strict=True))
        self._expected = len(header) + sum(spec.num_bytes for spec in layout.values())
        self.ref: FileRef | None = None
        self._make_room()
        self.write(header)

    def write(self, data: Any) -> None:  # noqa: ANN401 - whatever has the buffer protocol
        """Append the bytes of a C-contiguous buffer."""
        view = memoryview(data).cast("B") if memoryview(data).nbytes else memoryview(b"")
        offset = self._bytes
        self._bytes += len(view)
        self._settle()
        if len(view) < _BACKGROUND_BYTES:
            self._append(offset, view)
        else:
            self._pending.append(self._pool.submit(self._append, offset, memoryview(bytes(view))))

    def put(self, name: str, start: int, data: Any) -> None:  # noqa: ANN401 - whatever has the buffer protocol
        """Write a tensor's numbers from `start` on, before `seal` is called for it."""
        view = memoryview(data).cast("B")
        self._write(self._offsets[name] + start * DTYPE_BYTES[self._layout[name].dtype], view)

    def seal(self, name: str) -> None:
        """Append a tensor of which all numbers were put. It is hashed beside whatever comes next."""
        size = self._layout[name].num_bytes
        if self._sha256 is not None:
            self._pending.append(self._pool.submit(self._hash_written, self._sha256, self._offsets[name], size))
        assert self._offsets[name] == self._bytes, f"{name} is sealed out of order"  # noqa: S101
        self._bytes += size

    def _make_room(self) -> None:
        """Take all of the file's room at once: a full disk shows before anything is computed, and writing is faster."""
        if not hasattr(os, "posix_fallocate"):
            return
        try:
            os.posix_fallocate(self._file.fileno(), 0, self._expected)
        except OSError:
            self._file.close()
            Path(self._part).unlink()
            raise

    def _append(self, offset: int, view: memoryview) -> None:
        if self._sha256 is not None:
            self._sha256.update(view)
        self._write(offset, view)

    def _write(self, offset: int, view: memoryview) -> None:
        while view:
            written = os.pwrite(self._file.fileno(), view, offset)
            view, offset = view[written:], offset + written

    def _hash_written(self, sha256: "hashlib._Hash", offset: int, size: int) -> None:
        buffer = memoryview(bytearray(min(size, _PIECE_BYTES)))
        while size:
            got = os.preadv(self._file.fileno(), [buffer[: min(size, _PIECE_BYTES)]], offset)
            sha256.update(buffer[:got])
            offset, size = offset + got, size - got

    def _settle(self) -> None:
        pending, self._pending = self._pending, []
        for one in pending:
            one.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=kind is not None)
        if kind is not None:
            self._file.close()
            Path(self._part).unlink(missing_ok=True)
            return
        self._settle()
        assert self._bytes == self._expected, f"{self._path}: {self._bytes} bytes written of {self._expected}"  # noqa: S101
        self._file.close()
        Path(self._part).replace(self._path)
        if self._sha256 is not None:
            self.ref = FileRef(self._path, self._sha256.hexdigest(), self._bytes)

    def done(self) -> FileRef:
        """The finished file."""
        assert self.ref is not None, "the writer is still open"  # noqa: S101
        return self.ref


def write_tensors(path: str, layout: Layout, buffers: Iterable[Any]) -> FileRef:
    """Write a whole file; `buffers` come in the order of the layout."""
    with TensorWriter(path, layout) as writer:
        for data in buffers:
            writer.write(data)
    return writer.done()


class TensorHasher:
    """The sha256 that a file would have, without writing it. Large pieces are hashed beside the making of the next."""

    def __init__(self, layout: Layout) -> None:
        self._sha256 = hashlib.sha256(header_bytes(layout))
        self._pool = ThreadPoolExecutor(1)
        self._pending: Future[None] | None = None

    def add(self, data: Any) -> None:  # noqa: ANN401 - whatever has the buffer protocol
        """Append the bytes of a C-contiguous buffer, which has to stay as it is until the next call returns."""
        self._settle()
        view = memoryview(data).cast("B")
        if len(view) < _BACKGROUND_BYTES:
            self._sha256.update(view)
        else:
            self._pending = self._pool.submit(self._sha256.update, view)

    def done(self) -> str:
        """The hash of what was added."""
        self._settle()
        return self._sha256.hexdigest()

    def _settle(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()


def hash_tensors(layout: Layout, buffers: Iterable[Any]) -> str:
    """The sha256 that a file would have; each buffer stays as it is until the next one is asked for and made."""
    with TensorHasher(layout) as hasher:
        for data in buffers:
            hasher.add(data)
        return hasher.done()


class TensorReader:
    """An open file whose header has been checked. Data are copied out of it piece by piece, never mapped: a file that
    shrinks while it is read is an error instead of a crash, and resident memory stays bounded."""

    def __init__(self, path: str, expected: Layout | None = None) -> None:
        self.path = path
        try:
            self._file = Path(path).open("rb", buffering=0)  # noqa: SIM115 - closed in __exit__
        except OSError as error:
            raise TensorFileError(f"The file cannot be opened: {error}.") from error
        try:
            self.layout, self._offsets = _read_header(self._file.fileno())
            if expected is not None:
                _require_layout(self.layout, expected)
        except BaseException:
            self._file.close()
            raise

    def read_into(self, name: str, start: int, out: Any) -> None:  # noqa: ANN401 - whatever has the buffer protocol
        """Fill a contiguous buffer with a tensor's numbers from `start` on."""
        view = memoryview(out).cast("B")
        offset = self._offsets[name] + start * DTYPE_BYTES[self.layout[name].dtype]
        while view:
            got = os.preadv(self._file.fileno(), [view], offset)
            if got == 0:
                raise TensorFileError(f"{name} ends early.")
            view = view[got:]
            offset += got

    def read_bytes(self, name: str) -> bytearray:
        """All bytes of a tensor."""
        data = bytearray(self.layout[name].num_bytes)
        if data:
            self.read_into(name, 0, data)
        return data

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def sha256_of(path: str) -> str:
    """The sha256 of a file."""
    digest = hashlib.sha256()
    with Path(path).open("rb", buffering=0) as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _read_header(fd: int) -> tuple[dict[str, TensorSpec], dict[str, int]]:
    size = os.fstat(fd).st_size
    prefix = os.pread(fd, 8, 0)
    if len(prefix) < 8:
        raise TensorFileError(f"The file holds {size} bytes, too few for a header.")
    length: int = struct.unpack("<Q", prefix)[0]
    if length > min(_MAX_HEADER_BYTES, size - 8):
        raise TensorFileError(f"The header claims {length} bytes of a file of {size}.")
    try:
        entries = json.loads(os.pread(fd, length, 8), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise TensorFileError(f"The header is not JSON: {error}.") from error
    if not isinstance(entries, dict):
        raise TensorFileError("The header is not an object.")
    entries.pop("__metadata__", None)
    return _read_entries(entries, data_start=8 + length, size=size)


def _read_entries(
    entries: dict[str, object], data_start: int, size: int
) -> tuple[dict[str, TensorSpec], dict[str, int]]:
    layout: dict[str, TensorSpec] = {}
    spans: dict[str, tuple[int, int]] = {}
    for name, entry in entries.items():
        layout[name], spans[name] = _read_entry(name, entry)
    position = 0
    for name, (begin, end) in sorted(spans.items(), key=lambda item: item[1]):
        if begin != position or end - begin != layout[name].num_bytes:
            raise TensorFileError(f"{name} lies at [{begin}, {end}), which leaves a gap, overlaps or has another size.")
        position = end
    if data_start + position != size:
        raise TensorFileError(f"The file holds {size} bytes, its header speaks of {data_start + position}.")
    return layout, {name: data_start + begin for name, (begin, _) in spans.items()}


def _read_entry(name: str, entry: object) -> tuple[TensorSpec, tuple[int, int]]:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise TensorFileError(f"{name} has a malformed header entry.")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPE_BYTES:
        raise TensorFileError(f"{name} has dtype {dtype!r}, which is not one of {', '.join(DTYPE_BYTES)}.")
    if not _are_counts(shape) or not _are_counts(offsets) or len(offsets) != 2:
        raise TensorFileError(f"{name} has a malformed shape or offsets.")
    return TensorSpec(dtype, tuple(shape)), (offsets[0], offsets[1])


def _are_counts(value: object) -> bool:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key appears twice")
    return result


def _require_layout(found: Layout, expected: Layout) -> None:
    for name in expected:
        if name not in found:
            raise TensorFileError(f"{name} is missing.")
    for name, spec in found.items():
        if name not in expected:
            raise TensorFileError(f"{name[:100]!r} does not belong to this model.")
        if spec.dtype != expected[name].dtype:
            raise TensorFileError(f"{name} has dtype {spec.dtype}, not {expected[name].dtype}.")
        if spec.shape != expected[name].shape:
            raise TensorFileError(f"{name} has shape {list(spec.shape)}, not {list(expected[name].shape)}.")
