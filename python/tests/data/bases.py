"""Small tokenizers of bases, made on the spot: byte-level, as Llama's, and sentencepiece alone."""

import io
import json
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

TEXT = "the captain sailed the deep white sea and the whale sank the ship in the night " * 40


def write_base(folder: Path, vocab_size: int, files: dict[str, object]) -> Path:
    """A base's directory with these JSON files and a config.json that knows so many tokens."""
    folder.mkdir(exist_ok=True)
    for name, value in {"config.json": {"model_type": "gpt2", "vocab_size": vocab_size}, **files}.items():
        (folder / name).write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return folder


def byte_level(special: tuple[str, ...] = ("<|endoftext|>",), size: int = 300) -> Any:  # noqa: ANN401 - has no types
    """As GPT-2 and Qwen have it."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=list(special),
        show_progress=False,
    )
    inner.train_from_iterator([TEXT], trainer)
    return inner


def llama_like() -> Any:  # noqa: ANN401
    """Spaces as ▁, one before the text, bytes for what is not known, and <s> at the beginning."""
    inner = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))  # noqa: S106 - no password
    inner.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    inner.decoder = decoders.Sequence(steps)
    special = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=330, special_tokens=special[:3], show_progress=False)
    inner.train_from_iterator([TEXT], trainer)
    facts = json.loads(inner.to_str())
    vocab = dict.fromkeys(special)
    vocab |= dict.fromkeys(facts["model"]["vocab"])
    facts["model"]["vocab"] = {word: i for i, word in enumerate(vocab)}
    inner = Tokenizer.from_str(json.dumps(facts))
    inner.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return inner


def add_words(inner: Any, words: list[str], **facts: bool) -> None:  # noqa: ANN401
    """Give a tokenizer special words."""
    inner.add_special_tokens([AddedToken(word, special=True, **facts) for word in words])


def sentencepiece_model(vocab_size: int = 60, **options: object) -> bytes:
    """A sentencepiece model with </s> as 2 and <unk> as 0, of lower-case text."""
    from sentencepiece import SentencePieceTrainer

    buffer = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter([TEXT[i : i + 200] for i in range(0, len(TEXT), 200)]),
        model_writer=buffer,
        vocab_size=vocab_size,
        hard_vocab_limit=False,
        minloglevel=2,
        num_threads=1,
        **options,
    )
    return buffer.getvalue()
