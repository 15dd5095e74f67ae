"""Tokens and masks in processes, in pieces, and for whoever asks for a quote."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

from emeth.data.data import Source, count
from emeth.data.pool import Pool
from emeth.data.progress import Progress
from emeth.data.tokenise import pieces_of
from emeth.wire.events import Failure
from emeth.wire.params import Params
from emeth.wire.parse import parse
from tests.child import make_params, sample_text, source
from tests.data.bases import byte_level, write_base
from tests.data.make import lines, prepared, turns

BPE = {"type": "bpe", "vocabSize": 400}


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have little data worth several processes and batches."""
    monkeypatch.setattr("emeth.data.data._SMALL_BYTES", 0)
    monkeypatch.setattr("emeth.data.rows._BATCH_ROWS", 7)
    monkeypatch.setattr("emeth.data.tokenise._BATCH_BYTES", 1000)
    monkeypatch.setattr("emeth.data.tokenise._PIECE_BYTES", 300)


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize(
    ("content", "changes"),
    [
        (lines(turns()), {}),
        (lines(turns()), {"tokenizer": BPE, "data": {"loss": "all"}}),
        (lines([{"text": text} for text in sample_text(20_000).decode().split("\n\n") if text]), {"tokenizer": BPE}),
        (sample_text(20_000), {"tokenizer": BPE}),
    ],
    ids=["chats", "bpe", "texts", "text"],
)
def test_any_number_of_processes_gives_the_same(content: bytes, changes: dict[str, object], tmp_path: Path) -> None:
    found = [prepared(tmp_path / str(n), content, processes=n, **changes)[0] for n in (1, 2, 3)]
    assert found[0] == found[1] == found[2]


@pytest.mark.usefixtures("small_batches")
def test_failure_in_a_process_is_the_failure(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="line 190, has no messages") as failure:
        prepared(tmp_path, lines([*turns(189), {"messages": []}, *turns()]), processes=2)
    assert failure.value.code == "data/bad-record"
    unstable = "{% for m in messages %}{{ m.content }}{% if loop.last %}!{% endif %}{% endfor %}"
    long = [{"messages": chat["messages"] * 2} for chat in turns()]
    with pytest.raises(Failure, match="changes what it has written"):
        prepared(tmp_path, lines(long), processes=2, data={"template": unstable})


def test_process_that_is_killed_is_a_want_of_memory() -> None:
    with Pool(2) as pool, pytest.raises(MemoryError):
        for _ in pool.map([({"do": "encode"}, b"")]):  # a request that no worker survives
            pass


def test_preparation_that_fails_leaves_nothing_of_the_one_before(tmp_path: Path) -> None:
    corpus = prepared(tmp_path, lines(turns()))[1]
    with pytest.raises(Failure, match="The dataset gives"):
        prepared(tmp_path, b"too short")
    assert not (tmp_path / "prepared.json").exists()
    assert prepared(tmp_path, lines(turns()))[0] == corpus.prepared


def test_scratch_is_gone_at_the_end(tmp_path: Path) -> None:
    prepared(tmp_path, lines(turns()))
    kept = ["dataset", "prepared.json", "tokenizer.json", "train", "train.mask", "validation", "validation.mask"]
    assert sorted(path.name for path in tmp_path.iterdir()) == kept
    with pytest.raises(Failure):
        prepared(tmp_path / "b", lines([{"messages": []}]))
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["dataset"]


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        (b"a" * 70_000 + b"\n" + b"b" * 10, [70_001, 10]),
        (b"a" * 10 + b"\n" + b"b" * 65_530 + b"\nc", [65_542, 1]),
        (b"a " * (1 << 19) + b"bc", [(1 << 20) - 1, 3]),
        ("é".encode() * (1 << 19) + b"bc", [1 << 20, 2]),
        (b"x" + "é".encode() * (1 << 19) + b"\n", [(1 << 20) - 1, 3]),
        (b"", []),
    ],
)
def test_pieces_end_with_a_line_or_between_words_or_characters(text: bytes, lengths: list[int]) -> None:
    pieces = list(pieces_of(text, 0, len(text)))
    assert [end - start for start, end in pieces] == lengths
    for start, end in pieces:
        text[start:end].decode()


def test_markers_of_the_template_are_tokens_of_a_bpe(tmp_path: Path) -> None:
    corpus = prepared(tmp_path, lines(turns()), tokenizer=BPE)[1]
    tokenizer = corpus.tokenizer()
    assert len(tokenizer.encode(b"<|im_start|><|im_end|>")) == 2
    assert int(tokenizer.token_bytes()[tokenizer.encode(b"<|im_end|>")].sum()) == 0, "it stands for no text"
    assert corpus.train.mask is not None
    starts = corpus.train.tokens == tokenizer.encode(b"<|im_start|>")[0]
    assert not corpus.train.mask[starts].any(), "nothing of a question is learnt"
    plain = prepared(tmp_path / "b", sample_text(20_000), tokenizer=BPE)[1].tokenizer()
    assert len(plain.encode(b"<|im_start|>")) > 1, "a text needs none"


def test_shard_and_held_out_part_carry_the_mask(tmp_path: Path) -> None:
    from emeth.data.sequences import read_shard

    corpus = prepared(tmp_path, lines(turns()))[1]
    corpus.cut(0, 3, str(tmp_path / "shard"))
    shard = read_shard(str(tmp_path / "shard"), 4, 16, 256)
    assert shard.mask is not None
    part = corpus.train
    assert part.mask is not None
    whole = part.tokens.tobytes()
    for tokens, mask in zip(shard.flat().tokens, shard.flat().mask, strict=True):  # type: ignore[arg-type]
        at = whole.index(tokens.tobytes())
        assert mask.tolist() == part.mask[at + 1 : at + 17].tolist()
    held_out = corpus.validation(3)
    assert held_out.mask is not None
    assert held_out.mask.shape == (3, 16)
    assert held_out.num_targets == int(held_out.mask.sum()) == len(held_out.targets())


def test_shard_with_a_bad_mask_throws_data_bad_shard(tmp_path: Path) -> None:
    from emeth.data.sequences import read_shard
    from emeth.files.tensors import TensorSpec, write_tensors

    tokens = np.zeros((1, 4, 17), np.uint8)
    for dtype, mask in (("U8", np.full((1, 4, 16), 2, np.uint8)), ("U8", np.ones((1, 4, 17), np.uint8))):
        layout = {"tokens": TensorSpec("U8", tokens.shape), "mask": TensorSpec(dtype, mask.shape)}
        write_tensors(str(tmp_path / "shard"), layout, [tokens, mask])
        with pytest.raises(Failure, match="mask") as failure:
            read_shard(str(tmp_path / "shard"), 4, 16, 256)
        assert failure.value.code == "data/bad-shard"


def test_mask_is_part_of_the_data_root(tmp_path: Path) -> None:
    content = lines(turns())
    answers = prepared(tmp_path / "a", content)[0]
    everything = prepared(tmp_path / "b", content, data={"loss": "all"})[0]
    assert answers.train_tokens == everything.train_tokens
    assert answers.data_root != everything.data_root


def counted(folder: Path, content: bytes, **changes: object) -> dict[str, object]:
    folder.mkdir(exist_ok=True)
    (folder / "data").write_bytes(content)
    return count(parse(Params, make_params(**changes)), source(folder / "data", folder / "work")).json()


def test_count_finds_what_prepare_finds(tmp_path: Path) -> None:
    found = counted(tmp_path, lines(turns()))
    corpus = prepared(tmp_path / "b", lines(turns()))[1]
    assert found["prepared"] == corpus.prepared.json()
    assert corpus.train.mask is not None
    assert (found["form"], found["texts"], found["share"]) == ("messages", 200, 1.0)
    assert found["learntTokens"] == int(corpus.train.mask.sum())
    assert list((tmp_path / "work").iterdir()) == [tmp_path / "work" / "tokenizer.json"]


@pytest.mark.parametrize("packed", [False, True])
def test_large_data_are_estimated_from_their_beginning(
    packed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gzip

    dice = random.Random(3)  # noqa: S311 - no secret
    texts = b"".join(b"%s\n" % dice.randbytes(20).hex().encode() for _ in range(9000))
    chats = lines([{"prompt": text.decode(), "completion": "yes"} for text in texts.splitlines()[:4000]])
    whole = {name: counted(tmp_path / name, data) for name, data in (("chats", chats), ("texts", texts))}
    monkeypatch.setattr("emeth.data.data._COUNTED_BYTES", 1000)
    monkeypatch.setattr("emeth.data.data._SAMPLE_BYTES", 40_000)
    monkeypatch.setattr("emeth.data.collect._PIECE", 4096)
    monkeypatch.setattr("emeth.data.archives._PIECE", 4096)
    monkeypatch.setattr("emeth.data.collect._HEAD", 4096)
    monkeypatch.setattr("emeth.data.rows._PIECE", 4096)
    for name, data in (("chats", chats), ("texts", texts)):
        found = counted(tmp_path / name, gzip.compress(data, 1) if packed else data)
        assert 0.05 < float(str(found["share"])) < 0.6
        for key in ("trainTokens", "epochBlocks", "validationSequences"):
            expected = whole[name]["prepared"][key]  # type: ignore[index]
            assert found["prepared"][key] == pytest.approx(expected, rel=0.35)  # type: ignore[index]


def test_progress_is_told_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[dict[str, object]] = []

    class Box:
        def emit(self, kind: str, **fields: object) -> None:
            events.append({"type": kind, **fields})

    now = iter([0.0, 1.0, 6.0, 7.0, 12.0])
    monkeypatch.setattr("emeth.data.progress.time.monotonic", lambda: next(now))
    progress = Progress(Box())  # type: ignore[arg-type]
    for done in (10, 600, 700, 1200):
        progress("read", done // 10, done, 2400)
    assert events == [
        {"type": "preparing", "step": "read", "texts": 60, "bytes": 600, "totalBytes": 2400, "bytesPerSecond": 120,
         "secondsLeft": 15},
        {"type": "preparing", "step": "read", "texts": 120, "bytes": 1200, "totalBytes": 2400, "bytesPerSecond": 109,
         "secondsLeft": 11},
    ]  # fmt: skip


def test_base_larger_than_its_tokenizer_bounds_the_tokens(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base", 70_000, {"tokenizer.json": byte_level().to_str()})
    changes = {"tune": "full", "base": "hf:a/b", "model": {"context": 16, "dropout": 0}, "tokenizer": {"type": "base"}}
    found, corpus = prepared(tmp_path / "job", sample_text(20_000), base, **changes)
    assert found.vocab_size == 70_000
    assert corpus.train.tokens.dtype == np.uint32
    assert corpus.train.mask is None


def test_other_base_or_data_are_prepared_anew(tmp_path: Path) -> None:
    changes = {"tune": "full", "base": "hf:a/b", "model": {"context": 16, "dropout": 0}, "tokenizer": {"type": "base"}}
    roots = []
    for name, size in (("one", 280), ("two", 300)):
        base = write_base(tmp_path / name, 300, {"tokenizer.json": byte_level(size=size).to_str()})
        roots.append(prepared(tmp_path / "job", sample_text(20_000), base, **changes)[0].data_root)
    assert roots[0] != roots[1]
    params = parse(Params, make_params(**changes))
    job = tmp_path / "job"
    again = Source(dataset=str(job / "dataset"), max_bytes=10**9, work_dir=str(job), base=str(base))
    from emeth.data.data import prepare

    record = (tmp_path / "job/prepared.json").stat().st_mtime_ns
    assert prepare(params, again).data_root == roots[1]
    assert (tmp_path / "job/prepared.json").stat().st_mtime_ns == record
    assert json.loads((tmp_path / "job/prepared.json").read_text(encoding="utf-8"))["template"] is None
