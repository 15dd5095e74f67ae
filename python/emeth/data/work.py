"""The two computations of preparing data, each a function of its request alone, so that any process can do them.

render: records become texts, in which the answers are marked. encode: texts become tokens, and a mark for each that is
to be learnt. A request and its answer are a JSON header and bytes.
"""

import functools
import json
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emeth.data.records import Broken, Record, parse_record
from emeth.data.template import ChatTemplate, bounded_time
from emeth.data.tokenizer import Tokenizer, open_tokenizer, token_dtype
from emeth.wire.events import Failure

Header = dict[str, Any]
# Tokens, and for each 1 when it is to be learnt.
Marked = tuple[NDArray[Any], NDArray[np.uint8]]
# Broken records of a batch that are told; the others are counted.
_TOLD = 3
# A text that already ends its turn by the token for the end of texts gets no second one.
_TAIL = 4


def do(header: Header, data: bytes) -> tuple[Header, bytes]:
    """The answer to a request. Raises Failure."""
    if header["do"] == "encode":
        return encode(header)
    with bounded_time():
        return render(header, data)


def render(header: Header, data: bytes) -> tuple[Header, bytes]:
    """Texts of a batch of JSON lines: their lengths, the spans of answers, and the records that are broken."""
    template = _template(header["template"])
    lengths: list[int] = []
    spans: list[tuple[int, int]] = []
    broken: list[tuple[int, str]] = []
    texts: list[bytes] = []
    form, at = header["form"], 0
    for line, number in zip(data.split(b"\n"), header["numbers"], strict=True):
        try:
            record = parse_record(line, header["field"])
            form = form or record.form
            if record.form != form:
                raise Broken(f"is of another kind ({record.form}) than those before ({form})")
            text, answers = _document(record, template, header["all"])
        except Broken as error:
            broken.append((number, str(error)))
            continue
        texts.append(text)
        lengths.append(len(text))
        spans += [(at + start, at + end) for start, end in answers]
        at += len(text)
    answer = {"form": form, "lengths": lengths, "spans": spans, "broken": broken[:_TOLD], "numBroken": len(broken)}
    return answer, b"".join(texts)


def _document(record: Record, template: ChatTemplate, is_all: bool) -> tuple[bytes, list[tuple[int, int]]]:
    if not record.messages:
        return record.text.encode(), []
    if not is_all and all(message["role"] != "assistant" for message in record.messages):
        raise Broken("has no answer: no message is the assistant's")
    return template.document(record.messages)


def encode(header: Header) -> tuple[Header, bytes]:
    """Tokens of pieces of texts, and behind them, where asked for, the mask: 1 for each token that is to be learnt."""
    tokenizer = _tokenizer(json.dumps(header["tokenizer"]))
    start, ends = header["start"], header["ends"]
    text = _read(header["path"], start, ends[-1])
    pieces = [text[a - start : b - start] for a, b in zip([start, *ends[:-1]], ends, strict=True)]
    spans = np.array(header["spans"], np.int64).reshape(-1, 2) if header["spans"] is not None else None
    marked: list[Marked] = []
    at = start
    encoded = tokenizer.encode_all(pieces)
    for piece, ids, begins, ends_here in zip(pieces, encoded, header["begins"], header["finishes"], strict=True):
        _require_ids(ids, tokenizer.vocab_size)
        one = ids, _learnt(tokenizer, piece, ids, None if spans is None else spans - at)
        one = _with_beginning(one, tokenizer.begin) if begins else one
        marked.append(_with_end(one, tokenizer.end) if ends_here else one)
        at += len(piece)
    tokens = np.concatenate([ids for ids, _ in marked]).astype(token_dtype(tokenizer.vocab_size), copy=False)
    mask = np.concatenate([learnt for _, learnt in marked]) if header["masked"] else np.empty(0, np.uint8)
    learnt = int(mask.sum()) if header["masked"] else len(tokens)
    return {"tokens": len(tokens), "learnt": learnt, "bytes": ends[-1] - start}, tokens.tobytes() + mask.tobytes()


def _learnt(
    tokenizer: Tokenizer, piece: bytes, ids: NDArray[Any], spans: NDArray[np.int64] | None
) -> NDArray[np.uint8]:
    return np.ones(len(ids), np.uint8) if spans is None else _within(spans, *tokenizer.places(piece, ids))


def _with_beginning(one: Marked, begin: list[int]) -> Marked:
    """A text's first token follows from nothing: it is read, and not learnt."""
    ids, learnt = one
    if begin and ids[: len(begin)].tolist() != begin:
        ids = np.concatenate([np.array(begin, ids.dtype), ids])
        return ids, np.concatenate([np.zeros(len(begin), np.uint8), learnt])
    learnt[:1] = 0
    return ids, learnt


def _with_end(one: Marked, end: int | None) -> Marked:
    """The end is learnt when what it ends is."""
    ids, learnt = one
    if end is None or end in ids[-_TAIL:]:
        return one
    return np.append(ids, np.array([end], ids.dtype)), np.append(learnt, learnt[-1:] if len(learnt) else np.uint8(1))


def _within(spans: NDArray[np.int64], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.uint8]:
    """1 for each token with a byte inside one of the spans, which are in order."""
    if len(spans) == 0:
        return np.zeros(len(ends), np.uint8)
    found = np.searchsorted(spans[:, 1], starts, side="right")
    last = np.minimum(found, len(spans) - 1)
    overlaps: NDArray[np.bool_] = (found < len(spans)) & (spans[last, 0] < ends)
    return overlaps.view(np.uint8)


def _require_ids(ids: NDArray[Any], vocab_size: int) -> None:
    if len(ids) and int(ids.max()) >= vocab_size:
        message = f"The tokenizer gives the token {int(ids.max())}, and the model knows {vocab_size}."
        raise Failure("data/bad-tokenizer", message)


def _read(path: str, start: int, end: int) -> bytes:
    fd = os.open(path, os.O_RDONLY)
    try:
        data = os.pread(fd, end - start, start)
    finally:
        os.close(fd)
    if len(data) != end - start:
        raise OSError(f"{path} ends early")
    return data


@functools.lru_cache(maxsize=2)
def _tokenizer(described: str) -> Tokenizer:
    return open_tokenizer(json.loads(described))


def _template(described: dict[str, Any]) -> ChatTemplate:
    return ChatTemplate(described["source"], described["tokens"])
