"""All texts of a data set, one after the other in one file, with where each ends and where its answers lie.

Whatever a data set is (a text, records, an archive of either), from here on it is this. A data set that is one text is
used as it lies; all else is written to the scratch folder. Memory does not grow with the data.
"""

import codecs
import mmap
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from emeth.data.archives import Opened, Stream
from emeth.data.formats import find_format
from emeth.data.pool import Batch, Pool
from emeth.data.rows import Lines, read_rows
from emeth.data.template import ChatTemplate
from emeth.data.work import do
from emeth.wire.events import Failure

_PIECE = 1 << 20
# What is looked at to tell what a file holds.
_HEAD = 1 << 18
# Of this much text one character in twenty must be Japanese kana for it to be taken for Japanese.
_LANGUAGE_BYTES = 64 * 1024
_KANA_SHARE = 0.05

Report = Callable[[str, int, int, int], None]
"""Told what is being done, how many texts are done, and how many bytes of how many."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """How a data set is to be read."""

    format: str = "auto"
    field: str | None = None
    template: ChatTemplate
    loss: str = "auto"
    skip_broken: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Texts:
    """The texts of a data set."""

    path: str
    # As the records were written: text, messages, prompt or instruction.
    form: str
    # Where each text ends, in bytes.
    ends: NDArray[np.int64]
    # [start, end) of each answer, in bytes and in order; None where every token is learnt.
    spans: NDArray[np.int64] | None
    broken: int = 0
    # Bytes of the data set that were read for it, and all of them.
    read_bytes: int
    total_bytes: int

    @property
    def bytes(self) -> int:
        return int(self.ends[-1])

    @property
    def is_one_text(self) -> bool:
        return len(self.ends) == 1 and self.form == "text"

    def map(self) -> mmap.mmap:
        """The texts as bytes that are read when they are looked at."""
        with Path(self.path).open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def looks_japanese(self) -> bool:
        """True when the beginning is written in kana, also where they are few among Chinese characters."""
        with Path(self.path).open("rb") as file:
            text = file.read(min(_LANGUAGE_BYTES, self.bytes)).decode("utf-8", "ignore")
        letters = [c for c in text if unicodedata.category(c).startswith("L")]
        kana = sum("\u3040" <= c <= "\u30ff" for c in letters)
        return kana > _KANA_SHARE * max(1, len(letters))


class Collector:
    """Collects the texts of one data set."""

    def __init__(self, reading: Reading, opened: Opened, pool: Pool, report: Report, most_bytes: int | None) -> None:
        self._reading = reading
        self._opened = opened
        self._pool = pool
        self._report = report
        # Where a sample is enough.
        self._most_bytes = most_bytes
        self._form = ""
        self._records = 0
        self._broken = 0
        self._first_broken = ""
        self._is_cut = False
        self._texts = _Spool(opened.scratch)

    def collect(self) -> Texts:
        """Reads the files of the data set. Raises Failure."""
        alone: int | None = None
        for stream in self._opened.files():
            form = self._format_of(stream)
            if form != "text":
                self._take_rows(stream, form)
            elif stream.label == "The dataset" and self._opened.budget.unpacked == 0:
                alone = self._check_text(stream, None)
            else:
                self._take_form("text", stream.label)
                size = self._check_text(stream, self._texts.file)
                self._texts.add([size] if size else [], [])
            read_bytes = self._opened.read_bytes()
            if self._is_enough():
                return self._done(alone, read_bytes)
        return self._done(alone, self._opened.size)

    def _format_of(self, stream: Stream) -> str:
        if self._reading.format != "auto":
            return self._reading.format
        head = stream.peek(_HEAD)
        return find_format(head, len(head) < _HEAD, self._reading.field)

    def _check_text(self, stream: Stream, out: BinaryIO | None) -> int:
        """Reads a text, and copies it where asked to. The bytes it holds; 0 when all of it is blank."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        size, is_blank = 0, True
        while piece := stream.read(_PIECE):
            nul = piece.find(b"\0")
            if nul >= 0:
                message = f"{stream.label} is not text: byte {size + nul} is NUL. Give plain UTF-8 text."
                raise Failure("data/not-text", message)
            _decode(decoder, piece, stream.label, size)
            is_blank = is_blank and not piece.strip()
            size += len(piece)
            if out is not None:
                out.write(piece)
            self._tell()
            if self._most_bytes is not None and size >= self._most_bytes:
                size -= len(decoder.getstate()[0])
                self._is_cut = True
                break
        else:
            _decode(decoder, b"", stream.label, size)
        size = 0 if is_blank else size
        if out is not None:
            out.seek(self._texts.bytes + size)
            out.truncate()
        return size

    def _take_form(self, form: str, label: str) -> None:
        self._form = self._form or form
        if form != self._form:
            message = f"{label} holds {form}, and what came before {self._form}; give one kind of records."
            raise Failure("data/bad-record", message)

    def _take_rows(self, stream: Stream, form: str) -> None:
        unit, batches = read_rows(self._opened, stream, form, self._reading.field)
        # The first record says what kind the others must be of, so it is looked at before the rest is handed out.
        for lines in batches:
            self._take(stream.label, unit, do(*self._request(lines)))
            if self._form:
                break
        rest = (self._request(lines) for lines in self._until_enough(batches))
        for answer in self._pool.map(rest):
            self._take(stream.label, unit, answer)

    def _until_enough(self, batches: Iterator[Lines]) -> Iterator[Lines]:
        while not self._is_enough() and (lines := next(batches, None)) is not None:
            yield lines

    def _request(self, lines: Lines) -> Batch:
        reading = self._reading
        header: dict[str, Any] = {
            "do": "render",
            "form": self._form,
            "field": reading.field,
            "template": reading.template.json(),
            "all": reading.loss == "all",
            "numbers": lines.numbers,
        }
        return header, b"\n".join(lines.lines)

    def _take(self, label: str, unit: str, answer: Batch) -> None:
        header, data = answer
        broken = header["numBroken"]
        self._records += len(header["lengths"]) + broken
        if broken and not self._broken:
            number, reason = header["broken"][0]
            self._first_broken = f"{label}, {unit} {number}, {reason}"
        self._broken += broken
        if broken and self._reading.skip_broken == 0:
            self._refuse_broken()
        self._form = self._form or header["form"]
        self._texts.file.write(data)
        self._texts.add(header["lengths"], header["spans"])
        self._tell()

    def _refuse_broken(self) -> None:
        many = f" {self._broken} of {self._records} records are like that, more than data.skipBroken allows."
        many = many if self._reading.skip_broken else ""
        raise Failure("data/bad-record", f"{self._first_broken.rstrip('.')}.{many}")

    def _is_enough(self) -> bool:
        return self._is_cut or (self._most_bytes is not None and self._texts.bytes >= self._most_bytes)

    def _tell(self) -> None:
        self._report("read", self._records or 1, self._opened.read_bytes(), self._opened.size)

    def _done(self, alone: int | None, read_bytes: int) -> Texts:
        if self._broken > self._reading.skip_broken * self._records:
            self._refuse_broken()
        ends, spans = self._texts.done()
        if alone is not None:
            self._form, ends = "text", np.array([alone] if alone else [], np.int64)
        if len(ends) == 0:
            raise Failure("data/empty", f"The dataset holds no text ({self._opened.size} bytes).")
        if self._form == "text" and self._reading.loss == "answers":
            message = 'The dataset is text, in which nothing is an answer; leave data.loss out, or set it to "all".'
            raise Failure("data/no-answers", message)
        return Texts(
            path=self._opened.path if alone is not None else str(self._texts.path),
            form=self._form,
            ends=ends,
            spans=None if self._reading.loss == "all" or self._form == "text" else spans,
            broken=self._broken,
            read_bytes=read_bytes,
            total_bytes=self._opened.size,
        )


class _Spool:
    """The file that texts are written to, and two beside it for their ends and answers."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "texts"
        self.file = self.path.open("wb")
        self.bytes = 0
        self._paths = [folder / "ends", folder / "spans"]
        self._files = [path.open("wb") for path in self._paths]

    def add(self, lengths: list[int], spans: list[tuple[int, int]]) -> None:
        """Note texts that were written."""
        start = self.bytes
        ends = start + np.cumsum(np.array(lengths, np.int64))
        self._files[0].write(ends.tobytes())
        self._files[1].write((np.array(spans, np.int64).reshape(-1) + start).tobytes())
        self.bytes += sum(lengths)

    def done(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Ends and spans, read from their files when they are looked at."""
        for file in (self.file, *self._files):
            file.close()
        ends, spans = (_mapped(path) for path in self._paths)
        return ends, spans.reshape(-1, 2)


def _mapped(path: Path) -> NDArray[np.int64]:
    if path.stat().st_size == 0:
        return np.empty(0, np.int64)
    return np.memmap(path, np.int64, "r")


def _decode(decoder: codecs.IncrementalDecoder, piece: bytes, label: str, at: int) -> None:
    try:
        decoder.decode(piece, final=not piece)
    except UnicodeDecodeError as error:
        place = max(0, at - (len(error.object) - len(piece)) + error.start)
        message = f"{label} is not UTF-8 text: byte {place} is 0x{error.object[error.start]:02x}. Give UTF-8 text."
        raise Failure("data/not-text", message) from error
