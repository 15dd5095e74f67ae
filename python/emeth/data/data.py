"""From a text file to the blocks of a job.

The text is cut once, at a document boundary: what lies before is trained on, the last part is held out, and no sequence
crosses the cut. Each part is tokenised for itself and read as sequences of `context` predicted tokens (sequence i is
tokens [i·context, i·context + context], so neighbours share one token). Block b of an epoch is the sequences
b, b + epochBlocks, b + 2·epochBlocks, …: `batch` places spread over the whole text. The last fewer-than-`batch`
sequences are not used. Positions, permutations and leases know only blocks.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emeth.data.tokenizer import Tokenizer, Tokens, load_tokenizer, make_tokenizer
from emeth.files.philox import permutation
from emeth.files.tensors import FileRef, TensorReader, TensorSpec, TensorWriter, write_tensors
from emeth.wire.events import Failure
from emeth.wire.parse import camel
from emeth.wire.spec import Params

# Where a text may be cut, best first. A cut lies after the separator.
_SEPARATORS = (b"<|endoftext|>", b"\n\n\n", b"\n\n", b"\n", b" ")
# How far beyond the wanted place a cut may lie, as a part of the held-out text.
_CUT_SLACK = 0.25
# The part that is held out where the job names none.
HELD_OUT = 0.07


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


def read_text(path: str, max_bytes: int) -> bytes:
    """The bytes of a dataset that is text and neither empty nor too large."""
    file = Path(path)
    try:
        size = file.stat().st_size
        if size > max_bytes:
            raise Failure("data/too-large", f"The dataset holds {size} bytes; at most {max_bytes} are taken.")
        text = file.read_bytes()
    except OSError as error:
        raise Failure("data/unreadable", f"The dataset cannot be read: {error}.") from error
    if not text.strip():
        raise Failure("data/empty", f"The dataset holds no text ({size} bytes).")
    nul = text.find(b"\0")
    if nul >= 0:
        raise Failure("data/not-text", f"The dataset is not text: byte {nul} is NUL. Give plain UTF-8 text.")
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"The dataset is not UTF-8 text: byte {error.start} is 0x{text[error.start]:02x}. Give UTF-8 text."
        raise Failure("data/not-text", message) from error
    return text


def split_place(text: bytes, validation: float) -> int:
    """Where the held-out part begins: the first best boundary at or after the wanted place."""
    wanted = round(len(text) * (1 - validation))
    limit = wanted + max(1, int((len(text) - wanted) * _CUT_SLACK))
    for separator in _SEPARATORS:
        # A separator that ends exactly at the wanted place is a boundary there.
        found = text.find(separator, max(0, wanted - len(separator)), limit)
        if found >= 0:
            return found + len(separator)
    while wanted < len(text) and text[wanted] & 0xC0 == 0x80:  # never inside a character
        wanted += 1
    return wanted


def prepare(params: Params, dataset: str, max_bytes: int, work_dir: str) -> Prepared:
    """Check, tokenise and split a dataset; a second call for the same job and bytes reuses the files."""
    text = read_text(dataset, max_bytes)
    key = _key(params, text)
    done = _load_prepared(work_dir)
    if done is not None and done[0] == key:
        return done[1]

    tokenizer, train, validation = _tokenise(params, text)
    prepared = _measure(params, tokenizer, train, validation)
    _write_part(f"{work_dir}/train.safetensors", train)
    _write_part(f"{work_dir}/validation.safetensors", validation)
    tokenizer.save(f"{work_dir}/tokenizer.json")
    record = json.dumps({"key": key, "prepared": asdict(prepared)})
    part = Path(work_dir, "prepared.json.part")
    part.write_text(record, encoding="utf-8")
    part.replace(Path(work_dir, "prepared.json"))
    return prepared


def count(params: Params, dataset: str, max_bytes: int) -> Prepared:
    """What `prepare` would find, without writing anything."""
    return _measure(params, *_tokenise(params, read_text(dataset, max_bytes)))


def _tokenise(params: Params, text: bytes) -> tuple[Tokenizer, Tokens, Tokens]:
    """The job's tokenizer, and its tokens to train on and to hold out."""
    place = split_place(text, params.validation or HELD_OUT)
    tokenizer = make_tokenizer(params.tokenizer, text[:place])
    return tokenizer, tokenizer.encode(text[:place]), tokenizer.encode(text[place:])


def _measure(params: Params, tokenizer: Tokenizer, train: Tokens, validation: Tokens) -> Prepared:
    context, batch = params.model.context, params.batch
    epoch_blocks = (len(train) - 1) // context // batch
    validation_sequences = (len(validation) - 1) // context
    if epoch_blocks < 1 or validation_sequences < 1:
        message = (
            f"The dataset gives {len(train)} tokens to train on and {len(validation)} held out; one block needs "
            f"{context * batch + 1} and {context + 1}. Give more text, or a smaller batch or context."
        )
        raise Failure("data/too-small", message)
    blocks = _block_view(train, batch, context, epoch_blocks)
    return Prepared(
        vocab_size=tokenizer.vocab_size,
        epoch_blocks=epoch_blocks,
        block_tokens=batch * context,
        train_tokens=len(train),
        validation_tokens=len(validation),
        validation_sequences=validation_sequences,
        data_root=merkle_root(hashlib.sha256(blocks[i].tobytes()).digest() for i in range(epoch_blocks)),
    )


def merkle_root(leaves: Iterator[bytes]) -> str:
    """Root of a binary tree over leaf hashes; a node is sha256(0x01 ‖ left ‖ right), an odd last one moves up."""
    level = [hashlib.sha256(b"\0" + leaf).digest() for leaf in leaves]
    while len(level) > 1:
        odd = level[len(level) - len(level) % 2 :]
        level = [hashlib.sha256(b"\1" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)] + odd
    return level[0].hex()


class Corpus:
    """The prepared parts of a job, as the workDir holds them."""

    def __init__(self, params: Params, work_dir: str) -> None:
        done = _load_prepared(work_dir)
        if done is None:
            raise Failure("data/not-prepared", "The job has no prepared data; send `prepare` first.")
        self.prepared = done[1]
        self._params = params
        self._work_dir = work_dir
        self._train = _read_part(f"{work_dir}/train.safetensors")

    def cut(self, start: int, end: int, out: str) -> FileRef:
        """Write the blocks at job-wide positions [start, end) as a shard: `tokens` [blocks, batch, context + 1]."""
        if end <= start:
            raise Failure("data/bad-range", f"The range [{start}, {end}) is empty.")
        epoch_blocks = self.prepared.epoch_blocks
        batch, context = self._params.batch, self._params.model.context
        blocks = _block_view(self._train, batch, context, epoch_blocks)
        spec = TensorSpec(DTYPES[self._train.dtype.itemsize], (end - start, batch, context + 1))
        with TensorWriter(out, {"tokens": spec}) as writer:
            for epoch in range(start // epoch_blocks, (end - 1) // epoch_blocks + 1):
                order = permutation(epoch_blocks, self._params.seed, epoch)
                first = max(start - epoch * epoch_blocks, 0)
                last = min(end - epoch * epoch_blocks, epoch_blocks)
                for index in order[first:last]:
                    writer.write(np.ascontiguousarray(blocks[index]))
        return writer.done()

    def validation(self, max_sequences: int) -> Tokens:
        """Held-out sequences [n, context + 1]: all of them, or at most `max_sequences`, spread evenly."""
        tokens = _read_part(f"{self._work_dir}/validation.safetensors")
        context, total = self._params.model.context, self.prepared.validation_sequences
        windows = np.lib.stride_tricks.sliding_window_view(tokens, context + 1)[::context][:total]
        if 0 < max_sequences < total:
            windows = windows[np.arange(max_sequences) * total // max_sequences]
        return windows

    def tokenizer(self) -> Tokenizer:
        """The job's tokenizer."""
        return load_tokenizer(self._params.tokenizer, f"{self._work_dir}/tokenizer.json")


DTYPES = {1: "U8", 2: "U16", 4: "U32"}
_NUMPY = {"U8": np.uint8, "U16": np.uint16, "U32": np.uint32}


def read_shard(path: str, batch: int, context: int, vocab_size: int) -> Tokens:
    """The tokens [blocks, batch, context + 1] of a shard, checked. Raises TensorFileError or Failure."""
    with TensorReader(path) as file:
        spec = file.layout.get("tokens")
        if spec is None or len(file.layout) != 1 or spec.dtype not in _NUMPY:
            raise Failure("data/bad-shard", "The shard must hold one tensor `tokens` of U8, U16 or U32.")
        if len(spec.shape) != 3 or spec.shape[0] < 1 or spec.shape[1:] != (batch, context + 1):
            message = f"The shard has shape {list(spec.shape)}, not [blocks, {batch}, {context + 1}]."
            raise Failure("data/bad-shard", message)
        tokens = np.frombuffer(file.read_bytes("tokens"), _NUMPY[spec.dtype]).reshape(spec.shape)
    if int(tokens.max()) >= vocab_size:
        raise Failure("data/bad-shard", f"The shard holds token {tokens.max()}; the vocabulary has {vocab_size}.")
    return tokens


def _block_view(tokens: Tokens, batch: int, context: int, epoch_blocks: int) -> Tokens:
    """[epochBlocks, batch, context + 1] without copying: sequence i of block b is sequence b + i·epochBlocks."""
    windows = np.lib.stride_tricks.sliding_window_view(tokens, context + 1)[::context]
    view: Tokens = windows[: batch * epoch_blocks].reshape(batch, epoch_blocks, context + 1).transpose(1, 0, 2)
    return view


def _write_part(path: str, tokens: Tokens) -> None:
    write_tensors(path, {"tokens": TensorSpec(DTYPES[tokens.dtype.itemsize], (len(tokens),))}, [tokens])


def _read_part(path: str) -> Tokens:
    with TensorReader(path) as file:
        return np.frombuffer(file.read_bytes("tokens"), _NUMPY[file.layout["tokens"].dtype])


def _key(params: Params, text: bytes) -> str:
    """What the prepared files depend on."""
    facts = [params.model.context, params.batch, params.validation, asdict(params.tokenizer), asdict(params.data)]
    return hashlib.sha256(json.dumps(facts).encode() + hashlib.sha256(text).digest()).hexdigest()


def _load_prepared(work_dir: str) -> tuple[str, Prepared] | None:
    try:
        record = json.loads(Path(work_dir, "prepared.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return record["key"], Prepared(**record["prepared"])


def bytes_of(tokens: Tokens, token_bytes: NDArray[np.int64]) -> int:
    """UTF-8 bytes the tokens stand for."""
    return int(token_bytes[tokens].sum())
