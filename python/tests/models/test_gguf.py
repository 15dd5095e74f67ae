"""GGUF files in llama.cpp: the ids of its tokenizer, and the tokens it takes for the likeliest."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from emeth.children.gguf import write
from emeth.data.tokenizer import Bytes
from emeth.models.gguf_tensors import architecture_of
from emeth.models.result import find_result, load_result
from emeth.wire.events import Failure
from tests.child import Child, sample_text
from tests.llama import IS_SHIPPED, Llama
from tests.models.results import export_kind

# Elsewhere `npm run setup` installs no llama.cpp; here one that is missing fails every test.
pytestmark = pytest.mark.skipif(not IS_SHIPPED, reason="llama.cpp is installed for tests on Linux x64 alone")

TEXTS = [
    "Hello, world!",
    "The captain's ship didn't sail; we'll see.",
    "def f(x):\n    return x ** 2\n",
    "東京は日本の首都です。",
    "  two  spaces   three ",
    "\n\n\nlines\n\n",
    "1234567890 3.14 007",
    "CRLF\r\nline\r\n\r\n",
    "tab\tand\t\ttabs",
    "naïve café — “quotes” …",
    "HTTP/1.1 200 OK <|endoftext|> x_y-z",
    "DON'T I'VE a ",
]
_QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)


def _split(pattern: str) -> Any:  # noqa: ANN401 - the library has no types
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), byte_level])


CUTS = {
    "gpt-2": pre_tokenizers.ByteLevel(add_prefix_space=False),
    "smollm": pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    ),
    "qwen2": _split(_QWEN),
    "llama-bpe": _split(_QWEN.replace(r"\p{N}|", r"\p{N}{1,3}|", 1)),
}
_SMALL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
# Kind of model, settings, and how its tokenizer cuts text.
MODELS: dict[str, tuple[str, dict[str, object], str]] = {
    "gpt2": ("gpt2", {"n_positions": 64, "n_embd": 32, "n_layer": 2, "n_head": 4}, "gpt-2"),
    "llama": ("llama", {**_SMALL, "tie_word_embeddings": False, "rope_theta": 500000.0}, "llama-bpe"),
    "smollm": ("llama", {**_SMALL, "tie_word_embeddings": True}, "smollm"),
    "mistral": ("mistral", {**_SMALL, "sliding_window": None}, "llama-bpe"),
    "qwen2": ("qwen2", {**_SMALL, "tie_word_embeddings": True}, "qwen2"),
    "qwen3": ("qwen3", {**_SMALL, "head_dim": 16, "tie_word_embeddings": True}, "qwen2"),
}


def train_bpe(cut: str) -> Tokenizer:
    """A tokenizer of some hundred merges, also of digits, spaces and kana."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = CUTS[cut]
    tokenizer.decoder = decoders.ByteLevel()
    words = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, special_tokens=words, show_progress=False)
    text = sample_text().decode() + "東京は 1234567890 12 123\r\n    return x\n\n\n  two   three\t\t" * 9
    tokenizer.train_from_iterator([text], trainer)
    return tokenizer


def make_model(directory: Path, kind: str, settings: dict[str, object], rows: int) -> Any:  # noqa: ANN401
    """A model with weights large enough that its likeliest tokens are clearly so."""
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    ends = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, vocab_size=rows, **ends, **settings)).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(4) if weight.dim() > 1 else weight.add_(torch.randn_like(weight) * 0.1)
    model.save_pretrained(directory)
    return model


@pytest.fixture(scope="module", params=MODELS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Tokenizer]:
    """A directory with a model whose embedding has more rows than its tokenizer has tokens."""
    directory = tmp_path_factory.mktemp(request.param)
    kind, settings, cut = MODELS[request.param]
    tokenizer = train_bpe(cut)
    tokenizer.save(str(directory / "tokenizer.json"))
    words = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "chat_template": "{{ messages }}<|im_end|>"}
    (directory / "tokenizer_config.json").write_text(json.dumps(words))
    return directory, make_model(directory, kind, settings, tokenizer.get_vocab_size() + 9), tokenizer


@pytest.mark.parametrize("quant", ["f32", "f16", "q8_0"])
def test_llama_cpp_finds_the_same_ids_and_tokens(made: tuple[Path, Any, Tokenizer], quant: str) -> None:
    directory, model, tokenizer = made
    out = directory / f"{quant}.gguf"
    write(str(directory), str(out), quant)
    prompt = tokenizer.encode("the captain of the ship").ids
    ours = model.generate(torch.tensor([prompt]), max_new_tokens=6, min_new_tokens=6, do_sample=False)[0].tolist()
    with Llama(out) as llama:
        assert [llama.tokenize(text) for text in TEXTS] == [tokenizer.encode(text).ids for text in TEXTS]
        # In 8 bits, what comes close to the likeliest may change places with it.
        count = 2 if quant == "q8_0" else 6
        assert llama.greedy(prompt, count) == ours[len(prompt) :][:count]
        end = tokenizer.token_to_id("<|im_end|>")
        assert (llama.eos, llama.ends(end), llama.ends(end + 5)) == (end, True, False)
        assert llama.template == "{{ messages }}<|im_end|>"
        assert llama.vocab_size == model.config.vocab_size


def test_llama_cpp_reads_a_model_of_bytes(tmp_path: Path) -> None:
    Bytes().save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|endoftext|>"}))
    make_model(tmp_path, "gpt2", MODELS["gpt2"][1], 256)
    write(str(tmp_path), str(tmp_path / "out.gguf"), "f16")
    with Llama(tmp_path / "out.gguf") as llama:
        for text in TEXTS:
            assert llama.tokenize(text) == list(text.replace("<|endoftext|>", "\0").encode())
        assert llama.ends(0)


def test_adapter_beside_its_base_becomes_one_file(tmp_path: Path) -> None:
    """As `emeth result` writes it: the base in a folder of its own, with what downloads leave in one."""
    made = export_kind("adapter", tmp_path, chats=True)
    assert made.base is not None
    base = made.base.rename(made.directory / "base")
    (base / ".cache").mkdir()
    out, place = str(tmp_path / "out.gguf"), {"directory": str(made.directory), "base": str(base)}
    spec = {"kind": "gguf", "device": "cpu", "threads": 1, "workDir": str(tmp_path / "gguf"), "quant": "f32"}
    Path(spec["workDir"]).mkdir()
    with Child(spec | place | {"out": out}) as child:
        assert child.event()["type"] == "ready"
        assert child.event()["type"] == "converted"
    model = load_result(find_result(place["directory"], place["base"]), "cpu")
    prompt = list(b"Where is")
    ours = model.generate(torch.tensor([prompt]), max_new_tokens=6, min_new_tokens=6, do_sample=False)[0].tolist()
    with Llama(Path(out)) as llama:
        assert llama.greedy(prompt, 6) == ours[len(prompt) :]
        assert llama.template == Path(made.directory, "chat_template.jinja").read_text(encoding="utf-8")


def test_padding_that_a_tokenizer_asks_for_begins_no_text(tmp_path: Path) -> None:
    tokenizer = train_bpe("gpt-2")
    tokenizer.enable_padding(length=8)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    words = {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(words))
    make_model(tmp_path, "gpt2", MODELS["gpt2"][1], tokenizer.get_vocab_size())
    write(str(tmp_path), str(tmp_path / "out.gguf"), "f32")
    tokenizer.no_padding()
    with Llama(tmp_path / "out.gguf") as llama:
        assert llama.tokenize("the ship") == tokenizer.encode("the ship").ids


# How sentencepiece is trained, and whether llama.cpp reads such a model as sentencepiece does.
_PLAIN: dict[str, object] = {"normalization_rule_name": "identity"}
_AS_IT_IS: dict[str, object] = _PLAIN | {"remove_extra_whitespaces": False}
SENTENCEPIECES: dict[str, tuple[dict[str, object], bool]] = {
    "bpe of bytes": (_AS_IT_IS | {"model_type": "bpe", "byte_fallback": True}, True),
    "unigram": ({"model_type": "unigram", "vocab_size": 60}, True),
    "bpe that replaces characters": ({"model_type": "bpe", "byte_fallback": True}, False),
    "bpe that joins spaces": (_PLAIN | {"model_type": "bpe", "byte_fallback": True}, False),
    "bpe without bytes": ({"model_type": "bpe", "vocab_size": 100}, False),
    "unigram of bytes": ({"model_type": "unigram", "byte_fallback": True, "vocab_size": 310}, False),
}


@pytest.mark.parametrize("name", SENTENCEPIECES)
def test_sentencepiece_as_llama_cpp_reads_it(tmp_path: Path, name: str) -> None:
    from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

    options, is_covered = SENTENCEPIECES[name]
    text = tmp_path / "text"
    text.write_bytes(sample_text())
    common = {"input": str(text), "model_prefix": str(tmp_path / "tokenizer"), "minloglevel": 2}
    SentencePieceTrainer.train(**(common | {"vocab_size": 320, "hard_vocab_limit": False} | options))
    inner = SentencePieceProcessor(model_file=str(tmp_path / "tokenizer.model"))
    make_model(tmp_path, "gpt2", MODELS["gpt2"][1], inner.get_piece_size() + 2)
    if not is_covered:
        with pytest.raises(Failure, match="No GGUF file is written for sentencepiece models"):
            write(str(tmp_path), str(tmp_path / "out.gguf"), "f32")
        return
    write(str(tmp_path), str(tmp_path / "out.gguf"), "f32")
    with Llama(tmp_path / "out.gguf") as llama:
        for line in TEXTS:
            assert llama.tokenize(line) == inner.encode(line)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model_type": "bloom"}, "models of type 'bloom'"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "rotary positions scaled by 'yarn'"),
        ({"sliding_window": 8, "use_sliding_window": True}, "a sliding window of 8 tokens"),
    ],
)
def test_what_llama_cpp_would_compute_otherwise_is_refused(changes: dict[str, object], reason: str) -> None:
    config = {"model_type": "qwen2", "max_position_embeddings": 64}
    architecture_of(config)
    with pytest.raises(Failure, match=reason):
        architecture_of(config | changes)


def test_tokenizer_whose_cuts_llama_cpp_has_no_name_for_is_refused(tmp_path: Path) -> None:
    tokenizer = train_bpe("gpt-2")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Punctuation(), CUTS["gpt-2"]])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    make_model(tmp_path, "gpt2", MODELS["gpt2"][1], 400)
    with pytest.raises(Failure, match="Punctuation"):
        write(str(tmp_path), str(tmp_path / "out.gguf"), "f32")
