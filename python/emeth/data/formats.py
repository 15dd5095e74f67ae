"""What a file holds, told by its content: names and endings lie, and a blob has none."""

import csv
import io
import json
import re
from collections.abc import Sequence

from emeth.data.archives import PARQUET
from emeth.data.records import FORMS, excerpt
from emeth.wire.events import Failure

# Lines looked at to tell a table from prose, and lines of which one must be JSON.
_ROWS = 20
_LINES = 10
_DELIMITERS = {",": "csv", "\t": "tsv", ";": "csv"}
_NAME = re.compile(r"[^\W\d][\w .-]{0,63}")


def find_format(head: bytes, is_whole: bool, field: str | None) -> str:
    """text, json, jsonl, csv, tsv or parquet, by the beginning of a file. Raises `data/bad-format`."""
    if head.startswith(PARQUET):
        return "parquet"
    text = head.decode("utf-8-sig", "ignore")
    start = text.lstrip()
    if start.startswith("{"):
        return _of_object(start)
    if start.startswith("[") and _starts_array(start):
        return "json"
    lines = text.splitlines(keepends=True)
    table = find_table(lines if is_whole else lines[:-1], field)
    return "text" if table is None else _DELIMITERS[table]


def find_table(lines: Sequence[str], field: str | None) -> str | None:
    """The delimiter of a table with a known column; None for prose. Raises `data/bad-format` for other tables."""
    rows_of = {delimiter: _rows(lines, delimiter) for delimiter in _DELIMITERS}
    for delimiter, rows in rows_of.items():
        if len(rows) > 1 and has_columns(rows[0], field) and (len(rows[0]) > 1 or delimiter == ","):
            return delimiter
    for rows in rows_of.values():
        if _is_table(rows):
            raise no_column(rows[0], field)
    return None


def has_columns(names: Sequence[str], field: str | None) -> bool:
    """True when a table with these columns can be trained on."""
    if field is not None:
        return field in names
    return any(all(name in names for name in needed) for needed, form in FORMS if form != "messages")


def no_column(names: Sequence[str], field: str | None) -> Failure:
    """Says which columns were found."""
    known = "text, prompt and completion, or instruction and output"
    wanted = known if field is None else f"{field!r} (data.field)"
    shown = ", ".join(excerpt(name.encode()) for name in names[:20])
    return Failure(
        "data/bad-format",
        f"The table has the columns {shown}, not {wanted}. Name the column of the text by data.field; or, if it is no "
        'table, set data.format to "text".',
    )


def _rows(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    text = io.StringIO("".join(lines[: 10 * _ROWS]), newline="")
    rows = []
    try:
        for row in csv.reader(text, delimiter=delimiter, strict=True):
            if row:
                rows.append(row)
            if len(rows) == _ROWS:
                break
    except csv.Error:
        pass
    return rows


def _is_table(rows: Sequence[Sequence[str]]) -> bool:
    """True for a head of different short names over at least two rows of as many cells."""
    names = rows[0] if rows else ()
    return (
        len(rows) > 2
        and len(names) > 1
        and len(set(names)) == len(names)
        and all(_NAME.fullmatch(name.strip()) for name in names)
        and all(len(row) == len(names) for row in rows)
    )


def _of_object(start: str) -> str:
    lines = [line for line in start.splitlines()[: 5 * _LINES] if line.strip()][:_LINES]
    if any(_is_object(line) for line in lines) or len(lines) == 1:
        return "jsonl" if len(lines) > 1 or start[1:].lstrip().startswith('"') else "text"
    if start[1:].lstrip().startswith('"') and lines[0].strip() == "{":
        message = "The file is one JSON object over many lines. Give an array of records, or one record a line."
        raise Failure("data/bad-format", message)
    return "jsonl" if re.match(r'\{\s*"[^"\n]*"\s*:', start) else "text"


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _starts_array(start: str) -> bool:
    """True when a first element that is an object or text can be seen; prose may begin with a bracket, too."""
    inside = start[1:].lstrip()
    if inside.startswith("{"):
        return re.match(r'\{\s*"', inside) is not None
    if not inside.startswith('"'):
        return False
    try:
        end = json.JSONDecoder().raw_decode(inside)[1]
    except (ValueError, RecursionError):
        return False
    return inside[end:].lstrip()[:1] in ("", ",", "]")
