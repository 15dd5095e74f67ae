"""Archives of all kinds give the data that lie in them, and those that would do harm are refused."""

import gzip
import io
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import zstandard

from emeth.data.archives import is_hidden, open_data, shown
from emeth.wire.events import Failure
from tests.data.make import Named, lines, prepared, short, tar, turns, zipped

CHATS = turns()
FIRST, SECOND = lines(CHATS[:100]), lines(CHATS[100:])
FILES: Named = [("a.jsonl", FIRST), ("more/b.jsonl", SECOND)]
zstd = zstandard.ZstdCompressor().compress
SKIPPED = b"\x50\x2a\x4d\x18\x04\0\0\0pzst"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The data root of the chats as JSON lines."""
    return prepared(tmp_path_factory.mktemp("plain"), FIRST + SECOND)[0].data_root


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(FIRST) + gzip.compress(SECOND),
        zstd(FIRST) + zstd(SECOND),
        SKIPPED + zstd(FIRST) + SKIPPED + zstd(SECOND),
        tar(FILES),
        tar([*FILES, (".DS_Store", b"\0"), ("__MACOSX/._a.jsonl", b"\0")]),
        tar([("./a.jsonl", FIRST), ("./b.jsonl", SECOND)]),
        gzip.compress(tar(FILES)),
        zstd(tar(FILES)),
        zipped(FILES),
        zipped([("a.gz", gzip.compress(FIRST)), ("b", zstd(SECOND))]),
        tar([("wrong.txt", FIRST), ("b.parquet", SECOND)]),
    ],
    ids=short,
)
def test_packed_data_are_the_same(content: bytes, root: str, tmp_path: Path) -> None:
    assert prepared(tmp_path, content)[0].data_root == root


def encrypted() -> bytes:
    """A zip whose entry says that it is encrypted."""
    data = bytearray(zipped([("a.jsonl", FIRST)]))
    data[6] |= 1
    data[data.find(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def linked_zip() -> bytes:
    """A zip with a symbolic link."""
    entry = zipfile.ZipInfo("a")
    entry.external_attr = 0o120777 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    return buffer.getvalue()


NOISE = os.urandom(100_000).hex().encode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (encrypted(), "encrypted"),
        (linked_zip(), "a is a link"),
        (tar([("a", b"")], type=tarfile.SYMTYPE, linkname="/etc/passwd"), "a is a link"),
        (tar([("a", b"")], type=tarfile.LNKTYPE, linkname="b"), "a is a link"),
        (tar([("a", b"")], type=tarfile.FIFOTYPE), "no plain file"),
        (tar([("/etc/a", FIRST)]), "leads outside"),
        (tar([("x/../../a", FIRST)]), "leads outside"),
        (zipped([("../a", FIRST)]), "leads outside"),
        (zipped([("c:/a", FIRST)]), "leads outside"),
        (gzip.compress(gzip.compress(FIRST)), "packed twice"),
        (zipped([("a.zip", zipped(FILES))]), "archive in an archive"),
        (zipped([("a.tar", tar(FILES))]), "archive in an archive"),
        (gzip.compress(zipped(FILES)), "archive in an archive"),
        (gzip.compress(b"a b\n" * 20_000_000), "a bomb"),
        (zstd(b"a b\n" * 20_000_000), "a bomb"),
        (tar([("big", gzip.compress(b"a b\n" * 20_000_000))]), "a bomb"),
        (gzip.compress(NOISE)[:-20], "cannot be unpacked"),
        (zstd(NOISE)[:-20], "cut off"),
        (zipped([("a", NOISE)])[:-20], "cannot be unpacked"),
        (tar([("a", NOISE)])[:5000], "cannot be unpacked"),
    ],
    ids=short,
)
def test_harmful_or_broken_archive_throws_data_bad_archive(content: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(Failure, match=words) as failure:
        prepared(tmp_path, content)
    assert failure.value.code == "data/bad-archive"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"%PDF-1.7 ...", "a PDF"),
        (b"BZh91AY" + NOISE, "bzip2"),
        ("Grüße".encode("utf-16"), "UTF-16"),
        (zipped([("[Content_Types].xml", b"<x/>")]), "Office"),
        (zipped([("a.pdf", b"%PDF-1.7")]), "a.pdf is a PDF"),
    ],
    ids=short,
)
def test_file_of_another_program_throws_data_bad_format(content: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(Failure, match=words) as failure:
        prepared(tmp_path, content)
    assert failure.value.code == "data/bad-format"


def test_too_many_files_throw_data_bad_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emeth.data.archives._MAX_FILES", 3)
    with pytest.raises(Failure, match="more than 3 files"):
        prepared(tmp_path, tar([(str(i), FIRST) for i in range(4)]))


def test_more_than_is_taken_throws_data_too_large(tmp_path: Path) -> None:
    (tmp_path / "data.gz").write_bytes(gzip.compress(NOISE))
    opened = open_data(str(tmp_path / "data.gz"), 150_000, tmp_path)
    with pytest.raises(Failure) as failure:
        [stream.read() for stream in opened.files()]
    assert failure.value.code == "data/too-large"


def test_names_are_shown_without_what_a_terminal_would_obey() -> None:
    assert shown("a\x1b[2Jé") == "a\\x1b[2J\\xe9"
    assert [is_hidden(name) for name in (".x", "a/.x", "./a", "a.b/c", "__MACOSX/a")] == [
        True,
        True,
        False,
        False,
        True,
    ]


def test_one_kind_of_records_throws_when_mixed(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"b\.txt holds text, and what came before messages"):
        prepared(tmp_path, zipped([("a.jsonl", FIRST), ("b.txt", b"Call me Ishmael.")]))


def test_texts_of_an_archive_are_joined_by_the_end_token(tmp_path: Path) -> None:
    files: Named = [("a.md", b"one " * 100), ("blank", b" \n"), ("b.txt", b"two " * 60), ("c", b"three " * 10)]
    corpus = prepared(tmp_path, tar(files))[1]
    joined = bytes(corpus.train.tokens) + bytes(corpus.part("validation").tokens)
    assert joined == b"one " * 100 + b"\0" + b"two " * 60 + b"\0" + b"three " * 10 + b"\0"
    assert corpus.train.mask is not None
    assert np.flatnonzero(corpus.train.mask == 0).tolist() == [0, 401], "the first token of each text is not learnt"
