"""From a data set to the blocks of a job.

The texts of the data set are cut once: what lies before is trained on, the last part is held out, and no sequence
crosses the cut. Each part is tokenised for itself and read as sequences of `context` predicted tokens (sequence i is
tokens [i·context, i·context + context], so neighbours share one token). Block b of an epoch is the sequences
b, b + epochBlocks, b + 2·epochBlocks, …: `batch` places spread over the whole text. The last fewer-than-`batch`
sequences are not used. Positions, permutations and leases know only blocks.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from emeth.data.archives import open_data
from emeth.data.base_tokenizer import embedding_rows, open_base, own_template, special_words
from emeth.data.blocks import Blocks, merkle_root, windows
from emeth.data.collect import Collector, Reading, Report, Texts
from emeth.data.pool import Pool
from emeth.data.sequences import DTYPES, Sequences
from emeth.data.split import LINES, SEPARATORS, split_place, split_texts
from emeth.data.template import CHATML, SPECIAL_WORDS, ChatTemplate, given_template
from emeth.data.tokenise import Part, Tokeniser, open_part
from emeth.data.tokenizer import END_OF_TEXT, Tokenizer, load_tokenizer, make_tokenizer, token_dtype
from emeth.files.philox import permutation
from emeth.files.tensors import FileRef, TensorSpec, TensorWriter
from emeth.wire.events import Failure
from emeth.wire.params import BaseTokenizer, BpeTokenizer, Params
from emeth.wire.parse import camel

# The part that is held out where the job names none.
HELD_OUT, HELD_OUT_JAPANESE = 0.07, 0.10
# A data set up to here is counted whole; of a larger one the first texts are, and the rest is estimated.
_COUNTED_BYTES = 64 * 1024 * 1024
_SAMPLE_BYTES = 16 * 1024 * 1024
# Below this, starting processes takes longer than they save.
_SMALL_BYTES = 4 * 1024 * 1024
# So much is shown of the first record.
_EXAMPLE_BYTES = 8 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """What `prepare` found; the camel-cased names are those of the wire."""

    vocab_size: int
    epoch_blocks: int
    block_tokens: int
    train_tokens: int
    validation_tokens: int
    validation_sequences: int
    data_root: str

    def json(self) -> dict[str, int | str]:
        return {camel(name): value for name, value in asdict(self).items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A data set, and what preparing it may use."""

    dataset: str
    max_bytes: int
    work_dir: str
    base: str | None = None
    processes: int = 1
    report: Report = lambda *_: None


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokenised:
    """A data set in tokens, and how it became that."""

    texts: Texts
    tokenizer: Tokenizer
    template: ChatTemplate | None
    train: Part
    validation: Part
    example: list[dict[str, str | bool]]


def prepare(params: Params, source: Source) -> Prepared:
    """Check, tokenise and split a data set; a second call for the same job and bytes reuses the files."""
    key = _key(params, source)
    done = _load_prepared(source.work_dir)
    if done is not None and done["key"] == key:
        return Prepared(**done["prepared"])
    # The files of an earlier preparation are about to be written over.
    Path(source.work_dir, "prepared.json").unlink(missing_ok=True)
    found = _tokenise(params, source, None)
    prepared = _measure(params, found)
    found.tokenizer.save(f"{source.work_dir}/tokenizer.json")
    record = {
        "key": key,
        "prepared": asdict(prepared),
        "template": found.template and found.template.json(),
        "masked": found.train.mask is not None,
        "learnt": [found.train.learnt, found.validation.learnt],
    }
    part = Path(source.work_dir, "prepared.json.part")
    part.write_text(json.dumps(record), encoding="utf-8")
    part.replace(Path(source.work_dir, "prepared.json"))
    return prepared


@dataclass(frozen=True, kw_only=True, slots=True)
class Counted:
    """What `prepare` would find; `share` of a large data set was read for it, and the counts are estimates then."""

    prepared: Prepared
    form: str
    texts: int
    learnt_tokens: int
    share: float
    # The first record as the model sees it, in pieces: what is learnt of it, and what is only read.
    example: list[dict[str, str | bool]]

    def json(self) -> dict[str, Any]:
        return {camel(name): value for name, value in asdict(self).items()} | {"prepared": self.prepared.json()}


def count(params: Params, source: Source) -> Counted:
    """What `prepare` would find. Writes into the directory of the source only what it deletes again."""
    most = _SAMPLE_BYTES if _size(source.dataset) > _COUNTED_BYTES else None
    try:
        found = _tokenise(params, source, most)
        texts = found.texts
        share = 1.0 if most is None else min(1.0, texts.read_bytes / texts.total_bytes)
        prepared = _measure(params, found) if share == 1.0 else _estimate(params, found, share)
    finally:
        for name in ("train", "train.mask", "validation", "validation.mask"):
            Path(source.work_dir, name).unlink(missing_ok=True)
    return Counted(
        prepared=prepared,
        form=texts.form,
        texts=round(len(texts.ends) / share),
        learnt_tokens=round(found.train.learnt / share),
        share=share,
        example=found.example,
    )


def _tokenise(params: Params, source: Source, most_bytes: int | None) -> Tokenised:
    """The job's tokenizer, and its tokens to train on and to hold out, in files in the work directory."""
    scratch = Path(source.work_dir, "scratch")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    processes = source.processes if _size(source.dataset) > _SMALL_BYTES else 1
    try:
        with Pool(processes) as pool:
            template, name = _template_of(params, source.base)
            reading = Reading(
                format=params.data.format,
                field=params.data.field,
                template=template,
                loss=params.data.loss,
                skip_broken=params.data.skip_broken,
            )
            opened = open_data(source.dataset, source.max_bytes, scratch)
            texts = Collector(reading, opened, pool, source.report, most_bytes).collect()
            place = _place(params, texts)
            is_chat = texts.form != "text"
            tokenizer = _tokenizer_of(params, source, texts, place, SPECIAL_WORDS.get(name, ()) if is_chat else ())
            if tokenizer.end is None and not texts.is_one_text:
                message = "The base's tokenizer has no token that ends a text (eos_token), by which texts are parted."
                raise Failure("data/bad-tokenizer", message)
            tokeniser = Tokeniser(texts, tokenizer, pool, source.report)
            train = tokeniser.write(0, place, f"{source.work_dir}/train")
            validation = tokeniser.write(place, texts.bytes, f"{source.work_dir}/validation")
            example = _example(texts) if is_chat else []
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    _require_learnt(train, validation)
    return Tokenised(
        texts=texts,
        tokenizer=tokenizer,
        template=template if is_chat else None,
        train=train,
        validation=validation,
        example=example,
    )


def _example(texts: Texts) -> list[dict[str, str | bool]]:
    end = min(int(texts.ends[0]), _EXAMPLE_BYTES)
    spans = [(0, end)] if texts.spans is None else texts.spans[texts.spans[:, 0] < end].tolist()
    places, at = [], 0
    for start, stop in spans:
        places += [(at, start, False), (start, min(stop, end), True)]
        at = min(stop, end)
    places.append((at, end, False))
    with texts.map() as text:
        pieces = [(text[start:stop].decode("utf-8", "replace"), is_learnt) for start, stop, is_learnt in places]
    return [{"text": piece, "isLearnt": is_learnt} for piece, is_learnt in pieces if piece]


def _template_of(params: Params, base: str | None) -> tuple[ChatTemplate, str]:
    """The chat template of a job, and its name where it has one: the one named, else the base's own, else ChatML."""
    words = special_words(base) if base is not None else {"eos_token": END_OF_TEXT, "bos_token": END_OF_TEXT}
    if params.data.template is not None:
        return given_template(params.data.template, words), params.data.template
    own = own_template(base) if base is not None else None
    return (own, "") if own is not None else (ChatTemplate(CHATML, words), "chatml")


def _place(params: Params, texts: Texts) -> int:
    language = params.data.language
    is_japanese = texts.looks_japanese() if language == "auto" else language == "ja"
    validation = params.validation or (HELD_OUT_JAPANESE if is_japanese else HELD_OUT)
    separators = LINES + SEPARATORS if is_japanese else SEPARATORS
    with texts.map() as text:
        if texts.is_one_text:
            return split_place(text, validation, separators, texts.bytes)
        return split_texts(text, texts.ends, validation, separators, may_cut=texts.form == "text")


def _tokenizer_of(params: Params, source: Source, texts: Texts, place: int, special: tuple[str, ...]) -> Tokenizer:
    if isinstance(params.tokenizer, BaseTokenizer):
        if source.base is None:
            raise Failure("data/bad-tokenizer", "The job has no base whose tokenizer it could use.")
        return open_base(source.base, embedding_rows(source.base))
    pieces = Tokeniser.pieces(texts, place) if isinstance(params.tokenizer, BpeTokenizer) else ()
    tokenizer = make_tokenizer(params.tokenizer, pieces, special)
    tokenizer.save(f"{source.work_dir}/tokenizer.json")
    return tokenizer


def _require_learnt(train: Part, validation: Part) -> None:
    if train.learnt and validation.learnt:
        return
    where = "held-out" if train.learnt else "trained"
    message = f"The {where} part of the dataset holds no answer, so nothing in it could be learnt or measured."
    raise Failure("data/no-answers", f"{message} Give records with answers, or set data.loss to all.")


def _measure(params: Params, found: Tokenised) -> Prepared:
    context, batch = params.model.context, params.batch
    train, validation = found.train, found.validation
    epoch_blocks = (len(train.tokens) - 1) // context // batch
    validation_sequences = (len(validation.tokens) - 1) // context
    if epoch_blocks < 1 or validation_sequences < 1:
        message = (
            f"The dataset gives {len(train.tokens)} tokens to train on and {len(validation.tokens)} held out; one "
            f"block needs {context * batch + 1} and {context + 1}. Give more text, or a smaller batch or context."
        )
        raise Failure("data/too-small", message)
    blocks = Blocks(train, batch, context, epoch_blocks)
    return Prepared(
        vocab_size=found.tokenizer.vocab_size,
        epoch_blocks=epoch_blocks,
        block_tokens=batch * context,
        train_tokens=len(train.tokens),
        validation_tokens=len(validation.tokens),
        validation_sequences=validation_sequences,
        data_root=merkle_root(blocks.hash(i) for i in range(epoch_blocks)),
    )


def _estimate(params: Params, found: Tokenised, share: float) -> Prepared:
    """What `_measure` will find in all of a data set of which a share was read. The root is not known."""
    part = _measure(params, found)
    train, held_out = round(part.train_tokens / share), round(part.validation_tokens / share)
    return replace(
        part,
        train_tokens=train,
        validation_tokens=held_out,
        epoch_blocks=(train - 1) // params.model.context // params.batch,
        validation_sequences=(held_out - 1) // params.model.context,
        data_root=merkle_root(iter(())),
    )


class Corpus:
    """The prepared parts of a job, as the workDir holds them."""

    def __init__(self, params: Params, work_dir: str, base: str | None = None) -> None:
        done = _load_prepared(work_dir)
        if done is None:
            raise Failure("data/not-prepared", "The job has no prepared data; send `prepare` first.")
        self.prepared = Prepared(**done["prepared"])
        # The chat template that the data were written with; None where they are no chats.
        self.template = None if done["template"] is None else ChatTemplate(**done["template"])
        self._params = params
        self._work_dir = work_dir
        self._base = base
        self._is_masked = done["masked"]
        self.train = self.part("train")

    def cut(self, start: int, end: int, out: str) -> FileRef:
        """Write the blocks at job-wide positions [start, end) as a shard: `tokens` [blocks, batch, context + 1], and
        `mask` [blocks, batch, context] where not every target counts."""
        if end <= start:
            raise Failure("data/bad-range", f"The range [{start}, {end}) is empty.")
        batch, context = self._params.batch, self._params.model.context
        blocks = Blocks(self.train, batch, context, self.prepared.epoch_blocks)
        dtype = DTYPES[self.train.tokens.dtype.itemsize]
        layout = {"tokens": TensorSpec(dtype, (end - start, batch, context + 1))}
        if blocks.mask is not None:
            layout["mask"] = TensorSpec("U8", (end - start, batch, context))
        with TensorWriter(out, layout) as writer:
            for view in (blocks.tokens, blocks.mask):
                if view is not None:
                    for index in self._indices(start, end):
                        writer.write(np.ascontiguousarray(view[index]))
        return writer.done()

    def _indices(self, start: int, end: int) -> Iterator[int]:
        """The blocks at positions [start, end), each epoch in an order of its own."""
        epoch_blocks = self.prepared.epoch_blocks
        for epoch in range(start // epoch_blocks, (end - 1) // epoch_blocks + 1):
            order = permutation(epoch_blocks, self._params.seed, epoch)
            first = max(start - epoch * epoch_blocks, 0)
            last = min(end - epoch * epoch_blocks, epoch_blocks)
            yield from (int(index) for index in order[first:last])

    def validation(self, max_sequences: int) -> Sequences:
        """Held-out sequences: all of them, or at most `max_sequences` that say something, spread evenly."""
        part, total = self.part("validation"), self.prepared.validation_sequences
        tokens, mask = windows(part, self._params.model.context)
        sequences = Sequences(tokens[:total], None if mask is None else mask[:total])
        learnt = sequences.learnt()
        if not 0 < max_sequences < total or len(learnt) == 0:
            return sequences
        count = min(max_sequences, len(learnt))
        return sequences[learnt[np.arange(count) * len(learnt) // count]]

    def tokenizer(self) -> Tokenizer:
        """The job's tokenizer."""
        if isinstance(self._params.tokenizer, BaseTokenizer):
            assert self._base is not None, "a base's tokenizer without a base"  # noqa: S101 - checked by `prepare`
            return open_base(self._base, self.prepared.vocab_size)
        return load_tokenizer(self._params.tokenizer, f"{self._work_dir}/tokenizer.json")

    def part(self, name: str) -> Part:
        """The tokens of the part `train` or `validation`."""
        return open_part(f"{self._work_dir}/{name}", token_dtype(self.prepared.vocab_size), self._is_masked, 0)


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError as error:
        raise Failure("data/unreadable", f"The dataset cannot be read: {error}.") from error


def _key(params: Params, source: Source) -> str:
    """What the prepared files depend on."""
    facts = [params.model.context, params.batch, params.validation, asdict(params.tokenizer), asdict(params.data)]
    digest = hashlib.sha256(json.dumps([*facts, source.base]).encode())
    if _size(source.dataset) > source.max_bytes:
        return ""
    with Path(source.dataset).open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _load_prepared(work_dir: str) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads(Path(work_dir, "prepared.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return record
