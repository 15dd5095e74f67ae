"""Tokenizers of bases: whose ids they give, what they put around a text, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from emeth.data.base_tokenizer import embedding_rows, open_base, own_template
from emeth.data.data import Corpus
from emeth.data.template import CHATML
from emeth.wire.events import Failure
from tests.data.bases import add_words, byte_level, llama_like, sentencepiece_model, write_base
from tests.data.make import lines, prepared

CHATS = [
    {
        "messages": [
            {"role": "user", "content": f"Where is ship {i}?"},
            {"role": "assistant", "content": f"Ä {i} 海"},
        ]
    }
    for i in range(60)
]
WITH_BASE = {"tune": "full", "base": "hf:a/b", "model": {"context": 16, "dropout": 0}, "tokenizer": {"type": "base"}}
SMALL = {"vocab_size": 200}
END = {"eos_token": {"content": "<|im_end|>"}, "bos_token": None}
STRANGE = "the 東京 ﬁne ＷＨＡＬＥ sank"


def learnt(corpus: Corpus) -> list[str]:
    """What is learnt, text for text."""
    part, tokenizer = corpus.train, corpus.tokenizer()
    assert part.mask is not None
    places = np.flatnonzero(np.diff(part.mask.astype(int), prepend=0, append=0))
    pairs = zip(places[::2], places[1::2], strict=True)
    inner = tokenizer._inner  # type: ignore[attr-defined]
    return [inner.decode(part.tokens[a:b].tolist(), skip_special_tokens=False) for a, b in pairs]


def train_on(folder: Path, base: Path, content: bytes, **changes: object) -> Corpus:
    return prepared(folder, content, base, **WITH_BASE | changes)[1]


def test_template_and_end_of_a_base_are_its_own(tmp_path: Path) -> None:
    inner = byte_level(("<|endoftext|>", "<|im_start|>", "<|im_end|>"))
    files = {"tokenizer.json": inner.to_str(), "tokenizer_config.json": {**END, "chat_template": CHATML}}
    base = write_base(tmp_path / "base", 320, files)
    corpus = train_on(tmp_path / "job", base, lines(CHATS))
    assert corpus.prepared.vocab_size == 320, "the embedding may have rows that no token uses"
    assert learnt(corpus)[:2] == ["Ä 0 海<|im_end|>\n", "Ä 1 海<|im_end|>\n"], "a text that has its end gets no second"
    assert corpus.template is not None
    assert corpus.template.tokens == {"eos_token": "<|im_end|>"}


def test_end_of_a_base_that_names_none_is_its_models(tmp_path: Path) -> None:
    files = {"tokenizer.json": byte_level().to_str()}
    base = write_base(tmp_path / "base", 300, files)
    content = lines([{"text": "the whale " * 20}] * 20)
    with pytest.raises(Failure, match=r"has no token that ends a text \(eos_token\)"):
        train_on(tmp_path / "a", base, content)
    config = {"vocab_size": 300, "eos_token_id": [7, 8]}
    base = write_base(tmp_path / "base", 300, {**files, "config.json": config})
    corpus = train_on(tmp_path / "b", base, content)
    assert int((corpus.train.tokens == 7).sum()) == 18
    assert learnt(corpus)[0].startswith(" whale")


def test_what_llama_puts_before_a_text_is_there_and_not_learnt(tmp_path: Path) -> None:
    files = {"tokenizer.json": llama_like().to_str(), "tokenizer_config.json": {"eos_token": "</s>"}}
    base = write_base(tmp_path / "base", 400, files)
    tokenizer = open_base(str(base), 400)
    assert tokenizer.begin == [1]
    corpus = train_on(tmp_path / "job", base, lines(CHATS), data={"template": "plain"})
    assert learnt(corpus)[:2] == ["Ä 0 海</s>", "Ä 1 海</s>"], "found by the offsets of the library"
    assert int((corpus.train.tokens == 1).sum()) == 55
    ids = tokenizer.encode("the whale Ä".encode())
    assert int(tokenizer.token_bytes()[ids].sum()) == len(" the whale Ä".encode())


def test_truncation_and_padding_of_a_file_are_not_done(tmp_path: Path) -> None:
    inner = byte_level()
    inner.enable_truncation(4)
    inner.enable_padding(length=6)
    base = write_base(tmp_path / "base", 300, {"tokenizer.json": inner.to_str()})
    tokenizer = open_base(str(base), 300)
    inner.no_truncation()
    inner.no_padding()
    text = "the captain sailed the white sea, Ahab"
    assert tokenizer.encode(text.encode()).tolist() == inner.encode(text).ids
    assert len(tokenizer.encode(b"the")) < 6


def test_words_that_swallow_spaces_are_still_found(tmp_path: Path) -> None:
    inner = byte_level()
    add_words(inner, ["<end>"], lstrip=True, rstrip=True)
    base = write_base(tmp_path / "base", 400, {"tokenizer.json": inner.to_str()})
    tokenizer = open_base(str(base), 400)
    text = b"the whale   <end>   sank"
    starts, ends = tokenizer.places(text, tokenizer.encode(text))
    assert [text[a:b] for a, b in zip(starts, ends, strict=True)][-1] == b"k"
    assert all(b <= len(text) for b in ends)


@pytest.mark.parametrize("options", [{}, {"add_dummy_prefix": False}, {"model_type": "bpe", "byte_fallback": True}])
def test_sentencepiece_base_gives_what_sentencepiece_gives(options: dict[str, object], tmp_path: Path) -> None:
    from sentencepiece import SentencePieceProcessor

    size = 400 if options.get("byte_fallback") else 60
    model = sentencepiece_model(vocab_size=size, **options)
    base = write_base(tmp_path / "base", 500, {"tokenizer_config.json": {"eos_token": "</s>"}})
    (base / "spiece.model").write_bytes(model)
    tokenizer = open_base(str(base), 500)
    assert tokenizer.encode(STRANGE.encode()).tolist() == SentencePieceProcessor(model_proto=model).encode(STRANGE)
    assert tokenizer.end == 2
    corpus = train_on(tmp_path / "job", base, lines(CHATS), data={"template": "plain"})
    assert int((corpus.train.tokens == 2).sum()) == 55
    assert corpus.train.mask is not None
    assert corpus.train.mask[np.flatnonzero(corpus.train.tokens == 2)].all()


def test_settings_of_a_sentencepiece_base_count(tmp_path: Path) -> None:
    settings = {"eos_token": "</s>", "bos_token": "<s>", "do_lower_case": True, "add_bos_token": True}
    files = {"tokenizer_config.json": settings}
    base = write_base(tmp_path / "base", 80, files)
    (base / "spiece.model").write_bytes(sentencepiece_model())
    tokenizer = open_base(str(base), 80)
    assert tokenizer.begin == [1]
    assert tokenizer.encode(b"THE Whale").tolist() == tokenizer.encode(b"the whale").tolist()
    assert tokenizer.encode(b"the</s>").tolist()[-1] == 2, "the word of a special token is the token"
    starts, ends = tokenizer.places("ä the</s>".encode(), tokenizer.encode("ä the</s>".encode()))
    assert (int(starts[-1]), int(ends[-1])) == (6, 10)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, r"The base holds no tokenizer\.json, nor a sentencepiece model"),
        ({"tokenizer.json": "{}"}, r"has a tokenizer\.json that cannot be read"),
        ({"spiece.model": "no model"}, r"has a spiece\.model that sentencepiece cannot read"),
        ({"tokenizer.json": byte_level().to_str(), "tokenizer_config.json": "["}, "cannot be read"),
        (
            {"tokenizer.json": byte_level(size=280).to_str(), "config.json": SMALL},
            "the id 279, and a model",
        ),
        ({"config.json": {"vocab_size": "many"}}, "has the vocab_size 'many'"),
        ({"config.json": {}}, "has the vocab_size None"),
    ],
)
def test_base_without_a_fitting_tokenizer_throws_data_bad_tokenizer(
    files: dict[str, object], words: str, tmp_path: Path
) -> None:
    base = write_base(tmp_path / "base", 300, files)
    with pytest.raises(Failure, match=words) as failure:
        open_base(str(base), embedding_rows(str(base)))
    assert failure.value.code == "data/bad-tokenizer"


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer.model", "tokenizer_config.json", "config.json"])
def test_disk_that_fails_is_no_fault_of_a_tokenizer(name: str, tmp_path: Path) -> None:
    ours = {"tokenizer.json": byte_level().to_str()} if "config" in name else {}
    base = write_base(tmp_path / "base", 300, ours)
    (base / name).unlink(missing_ok=True)
    (base / name).symlink_to("/proc/self/mem")  # each read at its beginning is an I/O error
    with pytest.raises(OSError, match="Input/output error"):
        open_base(str(base), embedding_rows(str(base)))


def test_added_token_with_another_id_than_its_file_says_throws(tmp_path: Path) -> None:
    inner = byte_level(size=280)
    add_words(inner, ["<end>"])
    facts = json.loads(inner.to_str())
    facts["added_tokens"][-1]["id"] = 290
    base = write_base(tmp_path / "base", 300, {"tokenizer.json": json.dumps(facts)})
    with pytest.raises(Failure, match="'<end>' has the id 290, and it gets 280"):
        open_base(str(base), 300)


def test_template_of_a_base_is_where_bases_keep_it(tmp_path: Path) -> None:
    named = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "by name"}]
    base = write_base(tmp_path / "base", 300, {"tokenizer_config.json": {"chat_template": named}})
    template = own_template(str(base))
    assert template is not None
    assert template.source == "by name"
    (base / "chat_template.jinja").write_text("in a file", encoding="utf-8")
    template = own_template(str(base))
    assert template is not None
    assert template.source == "in a file"
    assert own_template(str(tmp_path)) is None


def test_base_nested_in_a_config_is_found(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base", 300, {"config.json": {"text_config": {"vocab_size": 99}}})
    assert embedding_rows(str(base)) == 99
