"""How well a finished model predicts a data set: of chats its answers, of all else every token."""

from pathlib import Path

import numpy as np
import torch

from emeth.data.archives import open_data
from emeth.data.collect import Collector, Reading
from emeth.data.pool import Pool
from emeth.data.sequences import Sequences
from emeth.data.template import CHATML, ChatTemplate
from emeth.data.tokenise import Part, Tokeniser
from emeth.models.evaluate import Evaluation, evaluate
from emeth.models.hf import Causal
from emeth.models.result import find_result, load_result
from emeth.models.text import Text
from emeth.wire.events import Failure, Inbox, Outbox
from emeth.wire.spec import MeasureSpec

# Longer sequences need much memory, and most models are compared at this length.
_CONTEXT = 1024
_MAX_BYTES = 2**50


def run(spec: MeasureSpec, inbox: Inbox, outbox: Outbox) -> None:
    """Read the data by the model's own tokenizer and template, as jobs do, and report the loss."""
    result = find_result(spec.directory, spec.base)
    text = Text(result)
    part, num_texts, on_answers = _read(spec, text)
    model = load_result(result, spec.device)
    limit = int(model.config.max_position_embeddings)
    context = min(spec.context or _CONTEXT, limit)
    network = Causal(model, context)
    outbox.emit("ready", device=spec.device, threads=torch.get_num_threads(), parameters=0)
    token_bytes = text.tokenizer.token_bytes()
    found = [evaluate(network, sequences, token_bytes, inbox) for sequences in _sequences(part, context)]
    loss, per_byte = _joined(found)
    outbox.emit(
        "measured",
        loss=loss,
        lossPerByte=per_byte,
        tokens=sum(one.tokens for one in found),
        texts=num_texts,
        onAnswers=on_answers,
    )


def _read(spec: MeasureSpec, text: Text) -> tuple[Part, int, bool]:
    reading = Reading(format=spec.format, field=spec.field, template=text.template or ChatTemplate(CHATML))
    scratch = Path(spec.work_dir, "scratch")
    scratch.mkdir(parents=True)
    with Pool(1) as pool:
        texts = Collector(reading, open_data(spec.dataset, _MAX_BYTES, scratch), pool, _ignore, None).collect()
        part = Tokeniser(texts, text.tokenizer, pool, _ignore).write(0, texts.bytes, f"{spec.work_dir}/measured")
    if part.learnt == 0 or len(part.tokens) < 2:
        raise Failure("data/no-answers", "The data hold nothing that a model could predict: no answer, or one token.")
    return part, len(texts.ends), part.mask is not None


def _ignore(*_: object) -> None:
    """Reading what fits a test takes seconds."""


def _sequences(part: Part, context: int) -> list[Sequences]:
    """All tokens, each predicted once: sequences of one length, and a shorter last one."""
    num = (len(part.tokens) - 1) // context
    whole, parts = num * context, []
    if num:
        tokens = np.lib.stride_tricks.sliding_window_view(part.tokens, context + 1)[::context][:num]
        mask = None if part.mask is None else part.mask[1 : whole + 1].reshape(num, context)
        parts.append(Sequences(tokens, mask))
    if len(part.tokens) - 1 > whole:
        parts.append(Sequences(part.tokens[None, whole:], None if part.mask is None else part.mask[None, whole + 1 :]))
    return [sequences for sequences in parts if sequences.num_targets]


def _joined(found: list[Evaluation]) -> tuple[float, float]:
    """Nats per token and per byte, over all."""
    nats = [one.loss * one.tokens for one in found]
    num_bytes = [total / one.loss_per_byte for total, one in zip(nats, found, strict=True) if one.loss_per_byte > 0]
    return sum(nats) / sum(one.tokens for one in found), sum(nats) / max(1.0, sum(num_bytes))
