"""The files in a data set: plain, compressed or in an archive, unpacked as a stream and never under their own names.

A data set is untrusted. What it unpacks to is counted while it is read, so that a bomb is refused before it fills
memory or disk; nothing in it can name a place outside, and links, devices and encrypted entries are refused.
"""

import io
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from gzip import BadGzipFile, GzipFile
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from emeth.wire.events import Failure

# Text compresses to a twentieth at best; the worst that is still taken is a hundred copies of it.
_MAX_RATIO = 200
_FREE_BYTES = 16 * 1024 * 1024
_MAX_FILES = 100_000
# Memory that a zstd frame may ask for; `zstd --long=31` asks for two GiB.
_MAX_WINDOW = 1 << 27
_PIECE = 1 << 20

_GZIP, _ZIP, _EMPTY_ZIP = b"\x1f\x8b", b"PK\x03\x04", b"PK\x05\x06"
# A frame, and the end of the mark of one that is skipped, with which pzstd begins.
_ZSTD, _ZSTD_SKIPPED = b"\x28\xb5\x2f\xfd", b"\x2a\x4d\x18"
# Four bytes of zstd can stand for 128 KiB.
_ZSTD_PIECE = 1024
PARQUET = b"PAR1"
# What people take for data by mistake, by how it begins.
_STRANGERS = {
    b"BZh": "a bzip2 file; unpack it, or pack it with gzip or zstd",
    b"\xfd7zXZ\0": "an xz file; unpack it, or pack it with gzip or zstd",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive; pack the files with zip or tar",
    b"Rar!": "a RAR archive; pack the files with zip or tar",
    b"%PDF": "a PDF; give its text",
    b"ARROW1": "an Arrow file; write it as parquet",
    b"SQLite format 3": "an SQLite database; write its table as JSON lines",
    b"\xff\xfe": "text in UTF-16; write it in UTF-8",
    b"\xfe\xff": "text in UTF-16; write it in UTF-8",
}


class Readable(Protocol):
    """All that is asked of a stream."""

    def read(self, size: int = -1, /) -> bytes: ...


class Stream:
    """A stream whose beginning can be looked at before it is read."""

    def __init__(self, source: Readable, label: str) -> None:
        self._source = source
        self._held = b""
        self.label = label

    def peek(self, size: int) -> bytes:
        """Up to `size` bytes from here on, which are read again later."""
        while len(self._held) < size and (piece := self._read(min(size, _PIECE))):
            self._held += piece
        return self._held[:size]

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes; all that is left when negative."""
        if size < 0:
            parts = []
            while piece := self.read(_PIECE):
                parts.append(piece)
            return b"".join(parts)
        if self._held:
            piece, self._held = self._held[:size], self._held[size:]
            return piece
        return self._read(size)

    def _read(self, size: int) -> bytes:
        try:
            return self._source.read(size)
        except (BadGzipFile, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, tarfile.TarError) as error:
            raise broken(self.label, error) from error
        except Exception as error:  # zstandard is not imported for its error alone
            if type(error).__name__ != "ZstdError":
                raise
            raise broken(self.label, error) from error


@dataclass(slots=True)
class Counted:
    """The data set's own bytes, counted as they are read."""

    file: BinaryIO
    num_bytes: int = 0

    def read(self, size: int = -1, /) -> bytes:
        data = self.file.read(size)
        self.num_bytes += len(data)
        return data


@dataclass(slots=True)
class Budget:
    """What may still be unpacked."""

    packed: int
    max_bytes: int
    unpacked: int = 0
    files: int = 0

    def take(self, count: int) -> None:
        self.unpacked += count
        if self.unpacked > self.max_bytes:
            raise Failure("data/too-large", f"The dataset unpacks to more than the {self.max_bytes} bytes taken here.")
        if self.unpacked > _FREE_BYTES + _MAX_RATIO * self.packed:
            message = f"{self.packed} bytes unpack to more than {self.unpacked}: that is no data but a bomb."
            raise Failure("data/bad-archive", message)

    def take_file(self) -> None:
        self.files += 1
        if self.files > _MAX_FILES:
            raise Failure("data/bad-archive", f"The archive holds more than {_MAX_FILES} files; join them into fewer.")


@dataclass(slots=True)
class Unpacking:
    """Counts what a decompressor gives."""

    source: Readable
    budget: Budget

    def read(self, size: int = -1, /) -> bytes:
        data = self.source.read(size)
        self.budget.take(len(data))
        return data


@dataclass(slots=True)
class Opened:
    """A data set and how much of it has been read."""

    path: str
    size: int
    max_bytes: int
    scratch: Path
    counted: Counted | None = None
    budget: Budget = field(init=False)

    def __post_init__(self) -> None:
        self.budget = Budget(self.size, self.max_bytes)

    def read_bytes(self) -> int:
        """Bytes of the data set that have been read."""
        if self.counted is None or self.counted.file.closed:
            return 0 if self.counted is None else self.size
        # A zip is read here and there.
        return min(self.size, max(self.counted.num_bytes, self.counted.file.tell()))

    def files(self) -> Iterator[Stream]:
        """Each file in it, in the order of the archive; only the newest may be read."""
        with Path(self.path).open("rb") as file:
            self.counted = Counted(file)
            stream = Stream(self.counted, "The dataset")
            if stream.peek(4) in (_ZIP, _EMPTY_ZIP):
                yield from self._zip(file)
            else:
                yield from self._unfold(stream, may_be_archive=True, may_be_packed=True)

    def _unfold(self, stream: Stream, may_be_archive: bool, may_be_packed: bool) -> Iterator[Stream]:
        head = stream.peek(512)
        packed = _unpacker(head)
        if packed is not None:
            if not may_be_packed:
                raise Failure("data/bad-archive", f"{stream.label} is packed twice; pack it once.")
            inner = Stream(Unpacking(packed(stream), self.budget), stream.label)
            yield from self._unfold(inner, may_be_archive, may_be_packed=False)
        elif head[:4] in (_ZIP, _EMPTY_ZIP) or is_tar(head):
            if not may_be_archive or not is_tar(head):
                raise Failure("data/bad-archive", f"{stream.label} is an archive in an archive; unpack the inner one.")
            yield from self._tar(stream)
        else:
            refuse_strangers(head, stream.label)
            yield stream

    def _tar(self, stream: Stream) -> Iterator[Stream]:
        try:
            with tarfile.open(fileobj=stream, mode="r|") as tar:  # type: ignore[call-overload]
                for entry in tar:
                    self.budget.take_file()
                    require_name(entry.name)
                    if entry.isdir():
                        continue
                    if not entry.isreg():
                        what = "a link" if entry.issym() or entry.islnk() else "no plain file"
                        raise Failure("data/bad-archive", f"{shown(entry.name)} is {what}; only plain files are taken.")
                    if not is_hidden(entry.name):
                        inner = Stream(tar.extractfile(entry), shown(entry.name))
                        yield from self._unfold(inner, may_be_archive=False, may_be_packed=True)
        except (tarfile.TarError, EOFError, OverflowError, UnicodeError) as error:
            raise broken(stream.label, error) from error

    def _zip(self, file: BinaryIO) -> Iterator[Stream]:
        try:
            with zipfile.ZipFile(file) as archive:
                for entry in archive.infolist():
                    self.budget.take_file()
                    if not entry.is_dir():
                        yield from self._zip_entry(archive, entry)
        except (zipfile.BadZipFile, NotImplementedError, UnicodeError, OverflowError) as error:
            raise broken("The dataset", error) from error

    def _zip_entry(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[Stream]:
        name = shown(entry.orig_filename)
        require_name(entry.orig_filename)
        if entry.filename == "[Content_Types].xml":
            raise Failure("data/bad-format", "The dataset is an Office document; write it as text or CSV.")
        if entry.flag_bits & 1:
            raise Failure("data/bad-archive", f"{name} is encrypted; give an archive without a password.")
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise Failure("data/bad-archive", f"{name} is a link or no plain file; only plain files are taken.")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Failure("data/bad-archive", f"{name} is packed by method {entry.compress_type}; use deflate.")
        if is_hidden(entry.filename):
            return
        with archive.open(entry) as source:
            inner = Stream(Unpacking(source, self.budget), name)
            yield from self._unfold(inner, may_be_archive=False, may_be_packed=True)

    def on_disk(self, stream: Stream) -> str:
        """The path of a file with the stream's bytes, for what cannot be read front to back."""
        if stream.label == "The dataset" and self.budget.unpacked == 0:
            return self.path
        path = self.scratch / "member"
        with path.open("wb") as out:
            while piece := stream.read(_PIECE):
                out.write(piece)
        return str(path)


def open_data(path: str, max_bytes: int, scratch: Path) -> Opened:
    """A data set of at most `max_bytes`, packed and unpacked. Raises Failure."""
    try:
        size = Path(path).stat().st_size
    except OSError as error:
        raise Failure("data/unreadable", f"The dataset cannot be read: {error}.") from error
    if size > max_bytes:
        raise Failure("data/too-large", f"The dataset holds {size} bytes; at most {max_bytes} are taken.")
    if size == 0:
        raise Failure("data/empty", "The dataset holds no text (0 bytes).")
    return Opened(path, size, max_bytes, scratch)


def is_tar(head: bytes) -> bool:
    """True for the first header of a tar archive, old ones included: its bytes add up to what it says."""
    if len(head) < 512:
        return False
    try:
        return tarfile.TarInfo.frombuf(head[:512], "utf-8", "surrogateescape").name != ""
    except tarfile.HeaderError:
        return False


def refuse_strangers(head: bytes, label: str) -> None:
    """Raises `data/bad-format` for files of other programs, which people take for data."""
    for magic, what in _STRANGERS.items():
        if head.startswith(magic):
            raise Failure("data/bad-format", f"{label} is {what}.")


def require_name(name: str) -> None:
    """Nothing is ever written under a name of an archive; one that tries to lead outside is refused all the same."""
    parts = re.split(r"[/\\]", name)
    if name.startswith(("/", "\\")) or ".." in parts or re.match(r"[A-Za-z]:", name) or "\0" in name:
        raise Failure("data/bad-archive", f"The archive holds the name {shown(name)}, which leads outside of it.")


def is_hidden(name: str) -> bool:
    """True for what systems leave in archives beside the files: `.DS_Store`, `__MACOSX`."""
    parts = name.strip("./").split("/") if name.startswith("./") else name.split("/")
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)


def shown(name: str) -> str:
    """A name as it can be printed."""
    return ascii(name[:100])[1:-1]


def broken(label: str, error: object) -> Failure:
    return Failure("data/bad-archive", f"{label} cannot be unpacked: {str(error).rstrip('.')}. Pack it again.")


def _unpacker(head: bytes) -> Callable[[Readable], Readable] | None:
    """What unpacks a compressed stream that begins so."""
    if head.startswith(_GZIP):
        return lambda source: GzipFile(fileobj=source, mode="rb")  # type: ignore[call-overload]
    is_skippable = head[1:4] == _ZSTD_SKIPPED and head[0] >> 4 == 5
    return _Zstd if head.startswith(_ZSTD) or is_skippable else None


class _Zstd:
    """Frames of zstd one after the other. The library's own stream ends without a word where a file is cut off, and
    after the first frame; and what it gives for a piece has no bound, so that it is given little at once."""

    def __init__(self, source: Readable) -> None:
        import zstandard

        self._source = source
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
        self._frame = self._decompressor.decompressobj()
        self._has_begun = False
        self._ready = b""

    def read(self, size: int = -1, /) -> bytes:
        while not self._ready:
            piece = self._frame.unused_data if self._frame.eof else b""
            piece = piece or self._source.read(_ZSTD_PIECE)
            if not piece:
                if self._has_begun and not self._frame.eof:
                    raise EOFError("it is cut off")
                return b""
            if self._frame.eof:
                self._frame = self._decompressor.decompressobj()
            self._has_begun = True
            self._ready = self._frame.decompress(piece)
        size = len(self._ready) if size < 0 else size
        piece, self._ready = self._ready[:size], self._ready[size:]
        return piece


def text_of(stream: Stream) -> io.TextIOWrapper:
    """The stream as lines of UTF-8."""
    return io.TextIOWrapper(io.BufferedReader(_Raw(stream), _PIECE), "utf-8-sig", newline="")


class _Raw(io.RawIOBase):
    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
