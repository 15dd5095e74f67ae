"""The records of a file as lines of JSON, a batch at a time, whatever the file holds them in."""

import csv
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from emeth.data.archives import Opened, Stream, text_of
from emeth.data.formats import find_table, has_columns, no_column
from emeth.data.records import FORMS, MAX_RECORD_BYTES
from emeth.wire.events import Failure

_BATCH_BYTES = 256 * 1024
_BATCH_ROWS = 512
_PIECE = 1 << 18
_SPACE = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True, slots=True)
class Lines:
    """Records as JSON lines, each with the number by which people find it in its file."""

    lines: list[bytes]
    numbers: list[int]


def read_rows(opened: Opened, stream: Stream, form: str, field: str | None) -> tuple[str, Iterator[Lines]]:
    """What the numbers count, and the records of a file in order. Raises Failure, also later."""
    if form == "jsonl":
        return "line", _batches(_json_lines(stream))
    if form == "json":
        return "record", _batches(enumerate(_Array(stream), 1))
    if form == "parquet":
        return "row", _batches(enumerate(_parquet(opened, stream, field), 1))
    return "line", _batches(_table(stream, form, field))


def _batches(rows: Iterable[tuple[int, bytes]]) -> Iterator[Lines]:
    lines: list[bytes] = []
    numbers: list[int] = []
    size = 0
    for number, line in rows:
        lines.append(line)
        numbers.append(number)
        size += len(line)
        if size >= _BATCH_BYTES or len(lines) >= _BATCH_ROWS:
            yield Lines(lines, numbers)
            lines, numbers, size = [], [], 0
    if lines:
        yield Lines(lines, numbers)


def _json_lines(stream: Stream) -> Iterator[tuple[int, bytes]]:
    number, rest = 0, b""
    if stream.peek(3) == b"\xef\xbb\xbf":
        stream.read(3)
    while piece := stream.read(_PIECE):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            number += 1
            if line.strip():
                yield number, line
        if len(rest) > MAX_RECORD_BYTES:
            raise too_long(stream.label, f"line {number + 1}")
    if rest.strip():
        yield number + 1, rest


def too_long(label: str, place: str) -> Failure:
    message = f"{label}, {place}, is longer than the {MAX_RECORD_BYTES} bytes that a record may have; split it."
    return Failure("data/bad-record", message)


class _Array:
    """The elements of a JSON array, as they are written."""

    def __init__(self, stream: Stream) -> None:
        self._label = stream.label
        self._reader = text_of(stream)
        self._decoder = json.JSONDecoder()
        self._text, self._at, self._number = "", 0, 0

    def __iter__(self) -> Iterator[bytes]:
        if self._mark() != "[":
            raise Failure("data/bad-format", f"{self._label} is not a JSON array; set data.format to what it is.")
        self._at += 1
        while self._mark() != "]":
            if self._number > 0:
                if self._mark() != ",":
                    raise self._bad(f"{self._mark()!r} where , or ] belongs")
                self._at += 1
                self._mark()
            self._number += 1
            end = self._end_of_element()
            # Inside a string there is no line's end as such, so that these only part what is written.
            yield self._text[self._at : end].replace("\n", " ").encode("utf-8", "surrogatepass")
            self._at = end

    def _mark(self) -> str:
        """The next character that is not space, or nothing at the end."""
        while True:
            match = _SPACE.match(self._text, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def _end_of_element(self) -> int:
        while True:
            try:
                end = self._decoder.raw_decode(self._text, self._at)[1]
                # What reaches to the end of what was read may go on behind it.
                if end < len(self._text) or not self._more():
                    return end
            except (ValueError, RecursionError) as error:
                if len(self._text) - self._at > MAX_RECORD_BYTES:
                    raise too_long(self._label, f"record {self._number}") from error
                if not self._more():
                    raise self._bad(str(error)) from error

    def _more(self) -> bool:
        try:
            piece = self._reader.read(_PIECE)
        except UnicodeDecodeError as error:
            raise Failure("data/not-text", f"{self._label} is not UTF-8: {error.reason}. Give UTF-8 text.") from error
        self._text, self._at = self._text[self._at :] + piece, 0
        return piece != ""

    def _bad(self, reason: str) -> Failure:
        return Failure("data/bad-record", f"{self._label}, record {self._number}, is not JSON: {reason}.")


def _table(stream: Stream, form: str, field: str | None) -> Iterator[tuple[int, bytes]]:
    head = stream.peek(_PIECE).decode("utf-8-sig", "ignore").splitlines(keepends=True)
    found = find_table(head, field) or "," if form == "csv" else "\t"
    delimiter = "," if form == "csv" and found == "\t" else found
    csv.field_size_limit(MAX_RECORD_BYTES)
    reader = csv.reader(text_of(stream), delimiter=delimiter, strict=True)
    names: list[str] = []
    try:
        names = next(reader, [])
        if not has_columns(names, field):
            raise no_column(names, field)
        repeated = [name for name in names if names.count(name) > 1]
        if repeated:
            raise Failure("data/bad-format", f"{stream.label} has two columns {repeated[0][:40]!r}.")
        wanted = _wanted(field)
        for row in reader:
            if row:
                yield reader.line_num, _row(names, row, wanted)
    except csv.Error as error:
        message = f"{stream.label}, line {reader.line_num}, is no row of a table: {error}."
        raise Failure("data/bad-record", message) from error
    except UnicodeDecodeError as error:
        message = f"{stream.label} is not UTF-8 after line {reader.line_num}. Give UTF-8 text."
        raise Failure("data/not-text", message) from error


def _row(names: list[str], row: list[str], wanted: set[str]) -> bytes:
    """A row as JSON; one with other cells than there are columns becomes a list, which is no record."""
    if len(row) != len(names):
        return json.dumps(row).encode()
    return json.dumps({name: cell for name, cell in zip(names, row, strict=True) if name in wanted}).encode()


def _wanted(field: str | None) -> set[str]:
    """The fields that are read; a table's others are skipped."""
    if field is not None:
        return {field}
    return {name for needed, _ in FORMS for name in needed} | {"input", "system"}


def _parquet(opened: Opened, stream: Stream, field: str | None) -> Iterator[bytes]:
    import pyarrow
    from pyarrow import parquet

    path = opened.on_disk(stream)
    try:
        # Otherwise a whole row group is held, of up to a million rows; with pre_buffer the size has no effect.
        with parquet.ParquetFile(path, buffer_size=_PIECE, pre_buffer=False) as file:
            names = file.schema_arrow.names
            wanted = [name for name in names if name in _wanted(field)]
            if not wanted or not (field is not None or any(all(n in wanted for n in needed) for needed, _ in FORMS)):
                raise no_column(names, field)
            for name in wanted:
                _require_plain(name, file.schema_arrow.field(name).type)
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=wanted, use_threads=False):
                for row in batch.to_pylist():
                    yield json.dumps(row).encode()
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        # Broken files are OSErrors too, but without the number that every fault of the machine has.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        message = (
            f"{stream.label} is a parquet file that cannot be read: {str(error)[:200].rstrip('.')}. Write it again."
        )
        raise Failure("data/bad-format", message) from error


def _require_plain(name: str, kind: Any) -> None:  # noqa: ANN401 - a pyarrow type
    """Text, or a list of structures of text: all else is no text and no message."""
    from pyarrow import types

    def is_text(part: Any) -> bool:  # noqa: ANN401
        part = part.value_type if types.is_dictionary(part) else part
        return bool(types.is_string(part) or types.is_large_string(part) or types.is_null(part))

    is_list = types.is_list(kind) or types.is_large_list(kind)
    if is_text(kind) or (is_list and types.is_struct(kind.value_type)):
        return
    message = f"The column {name!r} is of type {str(kind)[:100]}; text, or a list of messages, can be trained on."
    raise Failure("data/bad-format", message)
