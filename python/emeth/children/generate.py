"""Text from an exported directory, to try a model at once."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from emeth.data.tokenizer import END_OF_TEXT
from emeth.files.tensors import TensorFileError
from emeth.models.evaluate import read_shape
from emeth.models.gpt2 import Gpt2Program
from emeth.models.network import Network
from emeth.models.program import load_model
from emeth.wire.events import Failure, Outbox
from emeth.wire.spec import GenerateSpec


def run(spec: GenerateSpec, outbox: Outbox) -> None:
    """Continue the prompt; the reported text includes it."""
    from tokenizers import Tokenizer

    path = Path(spec.directory, "tokenizer.json")
    if not path.is_file():
        raise Failure("model/bad-directory", f"{spec.directory} holds no tokenizer.json.")
    tokenizer = Tokenizer.from_file(str(path))
    shape = read_shape(spec.directory)
    try:
        model = load_model(Gpt2Program(shape), f"{spec.directory}/model.safetensors", spec.device)
    except TensorFileError as error:
        raise Failure("model/bad-directory", f"model.safetensors of {spec.directory}: {error}") from error
    outbox.emit("ready", device=spec.device, threads=torch.get_num_threads(), parameters=0)
    # A model must start from something: the end of the text before, or a new line.
    end = tokenizer.token_to_id(END_OF_TEXT)
    start = tokenizer.encode(spec.prompt).ids or [ord("\n") if end is None else end]
    ids = continue_tokens(model, start, spec, end)
    outbox.emit("generated", text=tokenizer.decode(ids if spec.prompt else ids[1:]))


def continue_tokens(model: Network, start: list[int], spec: GenerateSpec, end: int | None) -> list[int]:
    """Sample tokens one by one, until there are enough or the text ends. The same seed gives the same text."""
    device = next(model.parameters()).device
    dice = np.random.Generator(np.random.Philox(key=spec.seed))
    ids = list(start)
    with torch.inference_mode():
        for _ in range(spec.max_new_tokens):
            window = torch.tensor([ids[-model.context :]], device=device)
            token = _choose(model.logits(window)[0, -1].float().cpu(), spec, float(dice.random()))
            if token == end:
                break
            ids.append(token)
    return ids


def _choose(logits_V: Tensor, spec: GenerateSpec, draw: float) -> int:
    if spec.temperature == 0:
        return int(logits_V.argmax())
    if 0 < spec.top_k < len(logits_V):
        kept = logits_V.topk(spec.top_k)
        logits_V = torch.full_like(logits_V, -torch.inf).scatter(0, kept.indices, kept.values)
    chances = torch.softmax(logits_V.double() / spec.temperature, dim=0).cumsum(0)
    return min(int(torch.searchsorted(chances, draw * chances[-1])), len(logits_V) - 1)
