"""From a text to blocks: the held-out part, shards, and the order of blocks."""

import itertools
import json
import mmap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emeth.data.blocks import merkle_root
from emeth.data.data import Corpus, prepare
from emeth.data.sequences import read_shard
from emeth.data.split import SEPARATORS, split_place, split_texts
from emeth.files.philox import permutation
from emeth.wire.events import Failure
from emeth.wire.params import Params
from emeth.wire.parse import parse
from tests.child import make_params, sample_text, source
from tests.conftest import Job
from tests.data.make import prepared

GOLDEN = [[0, 2, 9, 1, 8, 5, 4, 3, 6, 7], [5, 3, 7, 8, 2, 4, 1, 0, 6, 9], [8, 4, 1, 6, 3, 2, 7, 5, 9, 0]]


@given(st.integers(1, 3000), st.integers(0, 2**31 - 1), st.integers(0, 1000))
def test_permutation_is_a_bijection(length: int, seed: int, epoch: int) -> None:
    assert sorted(permutation(length, seed, epoch)) == list(range(length))


def test_permutation_is_the_same_for_ever() -> None:
    # Golden values: other children, other versions and the verifier derive the same order.
    assert permutation(10, 0, 0).tolist() == GOLDEN[0]
    assert permutation(10, 0, 1).tolist() == GOLDEN[1]
    assert permutation(10, 7, 0).tolist() == GOLDEN[2]


def test_merkle_root_when_odd() -> None:
    leaves = [bytes([i]) * 32 for i in range(3)]
    assert merkle_root(iter(leaves)) == "ba8d94b7fbcecae7b81c4c80574fe24734a6917bf9c1ecd66ff3e0c34ead4620"
    assert merkle_root(iter(leaves[:1])) != merkle_root(iter(leaves[:2]))


def test_cut_covers_every_block_of_each_epoch_once(job: Job, tmp_path: Path) -> None:
    blocks = job.corpus.prepared.epoch_blocks
    ends = [0, 1, 7, blocks - 1, blocks + 3, 2 * blocks]
    parts = []
    for start, end in itertools.pairwise(ends):
        job.corpus.cut(start, end, str(tmp_path / "shard"))
        parts.append(read_shard(str(tmp_path / "shard"), 4, 16, 256).tokens)
    tokens = np.concatenate(parts)
    first, second = ({block.tobytes() for block in half} for half in (tokens[:blocks], tokens[blocks:]))
    assert len(first) == blocks
    assert first == second
    assert (tokens[:blocks] != tokens[blocks:]).any(), "another epoch has another order"


def test_cut_follows_the_permutation(job: Job, tmp_path: Path) -> None:
    text = job.dataset.read_bytes()
    blocks = job.corpus.prepared.epoch_blocks
    job.corpus.cut(0, 2, str(tmp_path / "shard"))
    tokens = read_shard(str(tmp_path / "shard"), 4, 16, 256).tokens
    first = permutation(blocks, job.params.seed, 0)[0]
    for row in range(4):
        at = (first + row * blocks) * 16
        assert tokens[0, row].tobytes() == text[at : at + 17]


def test_split_never_leaks(job: Job) -> None:
    text = job.dataset.read_bytes()
    found = job.corpus.prepared
    assert found.train_tokens + found.validation_tokens == len(text)
    held_out = job.corpus.validation(0).tokens
    assert held_out.shape == (found.validation_sequences, 17)
    assert held_out[0].tobytes() == text[found.train_tokens :][:17]
    assert text[found.train_tokens - 2 : found.train_tokens] == b"\n\n"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (b"a" * 90 + b"\n\n" + b"b" * 8, 92),
        (b"a" * 91 + b"\n" + b"b" * 8, 92),
        (b"a" * 91 + b" " + b"b" * 8, 92),
        (b"a" * 100, 90),
        ("é".encode() * 50, 90),
        (b"x" + "é".encode() * 50, 91),
        (b"a" * 85 + b"\n\n" + b"b" * 13, 90),
        (b"a" * 88 + b"\n\n" + b"b" * 10, 90),
    ],
)
def test_split_place(text: bytes, place: int) -> None:
    assert split_place(text, 0.1) == place


JAPANESE = "これは日本語の文です。\n".encode() * 40


def test_japanese_is_cut_at_a_line_and_a_tenth_held_out(tmp_path: Path) -> None:
    text = JAPANESE[:-1] + b"\n\n" + JAPANESE
    held_out = {}
    for name, changes in {"found": {}, "said": {"language": "ja"}, "denied": {"language": "other"}}.items():
        found = prepared(tmp_path / name, text, validation=None, data=changes)[0]
        held_out[name] = found.validation_tokens
        assert found.train_tokens % 34 == 0 or name == "denied" or found.train_tokens % 34 == 1
    assert held_out["found"] == held_out["said"] == 8 * 34
    assert held_out["denied"] < 6 * 34


def test_seven_hundredths_of_a_text_are_held_out(tmp_path: Path) -> None:
    found = prepared(tmp_path, b"a line of text\n" * 1000, validation=None)[0]
    assert found.validation_tokens == 15 * 70
    chinese = "这是一个中文句子。\n".encode() * 400
    assert prepared(tmp_path / "b", chinese, validation=None)[0].validation_tokens == 28 * 28


@pytest.mark.parametrize(
    ("lengths", "may_cut", "place"),
    [
        ([10] * 10, True, 90),
        ([10] * 10, False, 90),
        ([91, 9], True, 91),
        ([5, 95], True, 90),
        ([5, 95], False, None),
        ([60, 40], False, 60),
        ([95, 5], True, 90),
        ([95, 5], False, 95),
        ([30, 30, 40], False, 60),
        ([100], False, None),
    ],
)
def test_split_texts(lengths: list[int], may_cut: bool, place: int | None, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"x" * 100)
    ends = np.cumsum(lengths)
    with (tmp_path / "text").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        if place is None:
            with pytest.raises(Failure, match=f"One record holds {lengths[-1]} % of the data"):
                split_texts(text, ends, 0.1, SEPARATORS, may_cut)
        else:
            assert split_texts(text, ends, 0.1, SEPARATORS, may_cut) == place


@given(st.text(min_size=2, max_size=300).filter(lambda text: len(text.encode()) >= 2))
def test_split_place_when_any_text(text: str) -> None:
    data = text.encode()
    place = split_place(data, 0.3)
    assert 0 < place <= len(data)
    data[:place].decode()
    data[place:].decode()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "data/empty"),
        (b" \n\t ", "data/empty"),
        (b"abc\0def" * 1000, "data/not-text"),
        (b"PK\x03\x04" + b"\xff\xfe\xfd" * 1000, "data/bad-archive"),
        (b"\x89PNG" + b"\xff\xfe\xfd" * 1000, "data/not-text"),
        (b"caf\xe9 " * 1000, "data/not-text"),
        (b"too short", "data/too-small"),
        (b"x" * 20_001, "data/too-large"),
    ],
)
def test_prepare_throws(content: bytes, code: str, tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_bytes(content)
    with pytest.raises(Failure) as failure:
        prepare(parse(Params, make_params()), source(tmp_path / "data.txt", tmp_path, 20_000))
    assert failure.value.code == code


def test_prepare_throws_data_unreadable(tmp_path: Path) -> None:
    with pytest.raises(Failure) as failure:
        prepare(parse(Params, make_params()), source(tmp_path / "nothing", tmp_path))
    assert failure.value.code == "data/unreadable"


def test_prepare_again_gives_the_same(job: Job, tmp_path: Path) -> None:
    again = prepare(job.params, source(job.dataset, tmp_path))
    assert again == job.corpus.prepared
    assert prepare(job.params, source(job.dataset, tmp_path)) == again
    assert json.loads((tmp_path / "prepared.json").read_text())["prepared"]["data_root"] == again.data_root


def test_corpus_throws_when_not_prepared(job: Job, tmp_path: Path) -> None:
    with pytest.raises(Failure) as failure:
        Corpus(job.params, str(tmp_path))
    assert failure.value.code == "data/not-prepared"


def test_validation_when_limited(job: Job) -> None:
    every = job.corpus.validation(0).tokens
    some = job.corpus.validation(5).tokens
    assert len(some) == 5
    assert some[0].tobytes() == every[0].tobytes()
    assert some[4].tobytes() == every[4 * len(every) // 5].tobytes()
    assert len(job.corpus.validation(10**6)) == len(every)


@pytest.mark.parametrize(("batch", "context", "vocab"), [(3, 16, 256), (4, 15, 256), (4, 16, 60)])
def test_read_shard_throws_data_bad_shard(job: Job, tmp_path: Path, batch: int, context: int, vocab: int) -> None:
    job.corpus.cut(0, 3, str(tmp_path / "shard"))
    with pytest.raises(Failure) as failure:
        read_shard(str(tmp_path / "shard"), batch, context, vocab)
    assert failure.value.code == "data/bad-shard"


def test_prepare_when_bpe(tmp_path: Path) -> None:
    params = parse(Params, make_params(tokenizer={"type": "bpe", "vocabSize": 320}))
    text = sample_text(20_000) + "naïve 東京\n".encode() * 20
    (tmp_path / "data.txt").write_bytes(text)
    found = prepare(params, source(tmp_path / "data.txt", tmp_path))
    corpus = Corpus(params, str(tmp_path))
    assert 257 < found.vocab_size <= 320
    tokenizer = corpus.tokenizer()
    tokens = tokenizer.encode(text)
    assert tokens.dtype == np.uint16
    assert len(tokens) < len(text)
    assert tokenizer.token_bytes()[tokens].sum() == len(text)
    other = tmp_path / "other"
    other.mkdir()
    assert prepare(params, source(tmp_path / "data.txt", other)) == found, "training a BPE repeats itself"
