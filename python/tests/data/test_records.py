"""Records of every form that people bring, and what is said of those that cannot be trained on."""

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from emeth.data.archives import open_data
from emeth.data.formats import find_format
from emeth.data.records import Broken, parse_record
from emeth.data.rows import read_rows
from emeth.wire.events import Failure
from tests.data.make import lines, prepared, short, turns

CHATS = turns()
PAIRS = [(chat["messages"][0]["content"], chat["messages"][1]["content"]) for chat in CHATS]
ANSWERS = [answer for _, answer in PAIRS]


def table(delimiter: str) -> bytes:
    rows = [f'{i}{delimiter}"{question}"{delimiter}{answer}' for i, (question, answer) in enumerate(PAIRS)]
    return "\r\n".join([delimiter.join(["id", "prompt", "completion"]), *rows]).encode()


def parquet_of(columns: dict[str, Any] | list[dict[str, Any]], **options: Any) -> bytes:  # noqa: ANN401
    buffer = io.BytesIO()
    made = pa.Table.from_pylist(columns) if isinstance(columns, list) else pa.table(columns)
    parquet.write_table(made, buffer, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The data root of the chats as JSON lines."""
    return prepared(tmp_path_factory.mktemp("plain"), lines(CHATS))[0].data_root


SHARE_GPT = [{"conversations": [{"from": "human", "value": q}, {"from": "gpt", "value": a}], "id": 7} for q, a in PAIRS]
ALPACA = [{"instruction": q, "input": "", "output": a, "text": "both at once"} for q, a in PAIRS]
PARTS = [{"messages": [{"role": "user", "content": [{"type": "text", "text": q}]}, {"role": "assistant", "content": a}]}
         for q, a in PAIRS]  # fmt: skip
MESSAGES = [{"prompt": chat["messages"][:1], "completion": chat["messages"][1:]} for chat in CHATS]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + lines(CHATS).replace(b"\n", b"\r\n\n"),
        json.dumps(CHATS, indent=2, ensure_ascii=False).encode(),
        lines([{"prompt": q, "completion": a} for q, a in PAIRS]),
        lines(SHARE_GPT),
        lines(ALPACA),
        lines(PARTS),
        lines(MESSAGES),
        table(","),
        table("\t"),
        table(";"),
        parquet_of(CHATS, row_group_size=30),
        parquet_of(
            {"prompt": pa.array([q for q, _ in PAIRS]).dictionary_encode(), "completion": [a for _, a in PAIRS]}
        ),
        parquet_of([{**chat, "text": None} for chat in CHATS]),
    ],
    ids=short,
)
def test_every_form_gives_the_same_data(content: bytes, root: str, tmp_path: Path) -> None:
    assert prepared(tmp_path, content)[0].data_root == root


def test_input_and_system_of_an_instruction_are_read() -> None:
    record = parse_record(
        json.dumps({"instruction": "Add", "input": "1 2", "output": "3", "system": "Be brief"}).encode(), None
    )
    assert [message["content"] for message in record.messages] == ["Be brief", "Add\n\n1 2", "3"]


def test_what_is_null_is_absent() -> None:
    assert parse_record(b'{"messages": null, "prompt": null, "completion": "b", "text": "a"}', None).text == "a"
    found = parse_record(b'{"messages": [{"role": "user", "content": "a", "from": null, "tool_calls": null}]}', None)
    assert found.messages == ({"role": "user", "content": "a"},)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (
            {"id": 1, "question": "x"},
            r"fits no known form: it has the fields id, question\. Known are .*messages.*It begins",
        ),
        ({}, "it has no fields"),
        ([1], "is a list, not an object"),
        (7, "is a number, not an object"),
        ({"text": 5}, "has a number as 'text'"),
        ({"text": " "}, "has an empty 'text'"),
        ({"text": "a\0b"}, "NUL"),
        ({"text": "\ud800"}, "half a surrogate pair"),
        ({"prompt": "a", "completion": ""}, "has an empty 'completion'"),
        ({"messages": []}, "has no messages"),
        ({"messages": "hello"}, "has text as its messages"),
        ({"messages": ["hello"]}, "has text as message 1"),
        ({"messages": [{"role": "user", "content": ""}]}, r"has an empty message 1 \(user\)"),
        ({"messages": [{"role": "user"}]}, "has no content in message 1"),
        ({"messages": [{"role": "moderator", "content": "a"}]}, "the role 'moderator' in message 1; known are system"),
        ({"conversations": [{"from": "bot", "value": "a"}]}, "the role 'bot' in message 1"),
        ({"messages": [{"content": "a"}]}, "the role 'None' in message 1"),
        ({"messages": [{"role": "assistant", "content": None, "tool_calls": [{}]}]}, "calls tools"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "has 'image_url' in message 1"),
        ({"messages": [{"role": "user", "content": 5}]}, "has a number as the content"),
    ],
)
def test_record_that_cannot_be_trained_on_is_broken(value: object, reason: str) -> None:
    with pytest.raises(Broken, match=reason):
        parse_record(json.dumps(value).encode(), None)


def test_line_that_is_no_json_is_broken() -> None:
    with pytest.raises(Broken, match=r"is not JSON .*\{broken"):
        parse_record(b"{broken", None)
    with pytest.raises(Broken, match=r"is not UTF-8 \(byte 9 is 0xe9\)"):
        parse_record(b'{"text":"\xe9"}', None)
    with pytest.raises(Broken, match="is not JSON"):
        parse_record(b"[" * 100_000, None)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lines(CHATS) + b'{"messages": [', r"^The dataset, line 201, is not JSON"),
        (
            lines([*CHATS[:7], {"text": "a"}, *CHATS]),
            r"line 8, is of another kind \(text\) than",
        ),
        (
            lines([*CHATS, {"messages": CHATS[0]["messages"][:1]}]),
            "line 201, has no answer: no message",
        ),
        (lines([CHATS[0], {"messages": []}]), "line 2, has no messages"),
        (json.dumps(CHATS)[:-40].encode(), "record 200, is not JSON"),
        (b'[{"text": "a"} {"text": "b"}]', "record 1, is not JSON: '{' where , or ] belongs"),
        (table(",") + b'\n7,"a" b,c', r"line 202, is no row of a table: .* expected after"),
        (table(",") + b"\n7,b", "line 202, is a list, not an object"),
        (parquet_of([*CHATS, {"messages": []}]), "row 201, has no messages"),
        (b'{"text": "' + b"a" * (17 << 20) + b'"}\n', "longer than the 16777216 bytes"),
    ],
    ids=short,
)
def test_broken_record_throws_with_its_number(content: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(Failure, match=words) as failure:
        prepared(tmp_path, content)
    assert failure.value.code == "data/bad-record"


def test_broken_records_are_left_out_where_the_job_says_so(root: str, tmp_path: Path) -> None:
    some = lines(CHATS[:90]) + b"{broken\n" + lines(CHATS[90:]) + b'{"text": "another kind"}\n'
    assert prepared(tmp_path / "a", some, data={"skipBroken": 0.01})[0].data_root == root
    with pytest.raises(Failure, match=r"line 201, is not JSON .* 5 of 205 records are like that"):
        prepared(tmp_path / "b", lines(CHATS) + b"{broken\n" * 5, data={"skipBroken": 0.01})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"id,question\n1,a\n2,b\n3,c\n", r"columns id, question, not text, prompt and completion.*data\.field"),
        (parquet_of({"id": [1], "question": ["a"]}), "columns id, question, not text"),
        (parquet_of({"text": [[["a"]]]}), r"'text' is of type list<element: list<element: string>>"),
        (parquet_of({"text": [1.5]}), "'text' is of type double"),
        (parquet_of([{"messages": {"role": "user"}}]), "no columns|of type struct|not text"),
        (parquet_of(CHATS)[:-9], "cannot be read"),
        (b"text,text\na,b\nc,d\n", "two columns 'text'"),
        (b'{\n "data": [\n 1\n ]\n}', "one JSON object over many lines"),
    ],
    ids=short,
)
def test_table_without_text_throws_data_bad_format(content: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(Failure, match=words) as failure:
        prepared(tmp_path, content)
    assert failure.value.code == "data/bad-format"


def test_field_names_what_is_read(root: str, tmp_path: Path) -> None:
    named = lines([{"talk": chat["messages"], "text": "not this"} for chat in CHATS])
    assert prepared(tmp_path / "a", named, data={"field": "talk"})[0].data_root == root
    body = b"title,body\n" + b"".join(b"t%d,some words %d\n" % (i, i) for i in range(99))
    corpus = prepared(tmp_path / "b", body, data={"field": "body"})[1]
    assert bytes(corpus.train.tokens[:26]) == b"some words 0\0some words 1\0"
    with pytest.raises(Failure, match=r"columns title, body, not 'bodi' \(data\.field\)"):
        prepared(tmp_path / "c", body, data={"field": "bodi"})
    with pytest.raises(Failure, match=r"has no 'x' \(data\.field\): it has the fields messages"):
        prepared(tmp_path / "d", lines(CHATS), data={"field": "x"})


def test_format_that_is_given_is_believed(tmp_path: Path) -> None:
    text = b"text\n" * 50
    assert bytes(prepared(tmp_path / "a", text)[1].train.tokens[:5]) == b"text\0"
    assert bytes(prepared(tmp_path / "b", text, data={"format": "text"})[1].train.tokens[:10]) == b"text\ntext\n"
    for form in ("json", "jsonl", "csv", "tsv", "parquet"):
        with pytest.raises(Failure):
            prepared(tmp_path / form, b"Call me Ishmael. " * 99, data={"format": form})


@pytest.mark.parametrize(
    ("head", "form"),
    [
        (b"Call me Ishmael.\n\nSome years ago, never mind\n", "text"),
        (b"# Title, with comma\n\nA list, of words.\nMore, of them.\n", "text"),
        (b"{\\rtf1 some text}\n", "text"),
        (b"{ this is: prose }\nmore\n", "text"),
        (b"[Chorus]\nla la la\n", "text"),
        (b"[1] a footnote\n", "text"),
        (b'["a", "b"]', "json"),
        (b'[\n {"text": "a"}]', "json"),
        (b'{"text": "a"}\n', "jsonl"),
        (b'{"text": "a"', "jsonl"),
        (b'{broken\n{"text": "a"}\n', "jsonl"),
        (b"text\na\n", "csv"),
        (b"prompt\tcompletion\na\tb\n", "tsv"),
        (b"instruction;input;output\na;b;c\n", "csv"),
        (b"PAR1....", "parquet"),
    ],
)
def test_find_format(head: bytes, form: str) -> None:
    assert find_format(head, True, None) == form


def test_disk_that_fails_under_a_parquet_file_is_no_fault_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "chats.parquet"
    path.write_bytes(parquet_of(CHATS))
    opened = open_data(str(path), 1 << 20, tmp_path)
    with pytest.raises(FileNotFoundError):
        for stream in opened.files():
            path.unlink()
            list(read_rows(opened, stream, "parquet", None)[1])
