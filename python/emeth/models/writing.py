"""Text from a model, token by token: what to choose, when to stop, and which characters are whole."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

# A character is at most so many bytes, and so at most so many tokens of a byte each.
_CHARACTER_BYTES = 4
_BROKEN = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """How the next token is chosen. Temperature 0 always takes the likeliest, top_k 0 chooses among all."""

    temperature: float
    top_k: int
    seed: int


def write_tokens(model: Any, start: Sequence[int], choice: Choice) -> Iterator[int]:  # noqa: ANN401 - of transformers
    """Sample token after token, without end. The same seed gives the same tokens."""
    dice = np.random.Generator(np.random.Philox(key=choice.seed))
    limit = int(model.config.max_position_embeddings)
    ids = list(start)
    fresh, cache, length = ids[-limit:], None, len(ids[-limit:])
    while True:
        with torch.inference_mode():
            tokens = torch.tensor([fresh], device=model.device)
            out = model(input_ids=tokens, past_key_values=cache, use_cache=True, logits_to_keep=1)
        token = _choose(out.logits[0, -1].float().cpu(), choice, float(dice.random()))
        ids.append(token)
        yield token
        fresh, cache, length = [token], out.past_key_values, length + 1
        if length > limit:
            # No place is left: the later half is read anew.
            fresh, cache = ids[-max(1, limit // 2) :], None
            length = len(fresh)


def _choose(logits_V: Tensor, choice: Choice, draw: float) -> int:
    if choice.temperature == 0:
        return int(logits_V.argmax())
    if 0 < choice.top_k < len(logits_V):
        kept = logits_V.topk(choice.top_k)
        logits_V = torch.full_like(logits_V, -torch.inf).scatter(0, kept.indices, kept.values)
    chances = torch.softmax(logits_V.double() / choice.temperature, dim=0).cumsum(0)
    return min(int(torch.searchsorted(chances, draw * chances[-1])), len(logits_V) - 1)


class Unfolding:
    """The text of tokens as they come: only whole characters, and each once."""

    def __init__(self, decode: Callable[[list[int]], str], before: Sequence[int]) -> None:
        self._decode = decode
        # Some tokens before, as a tokenizer may write the first one of a text in another way.
        self._ids = list(before[-_CHARACTER_BYTES:])
        self._told = len(self._ids)

    def add(self, token: int) -> str:
        """What the token adds; nothing inside a character."""
        self._ids.append(token)
        return self._take(is_end=len(self._ids) - self._told >= _CHARACTER_BYTES)

    def end(self) -> str:
        """What is left, broken or not."""
        return self._take(is_end=True)

    def _take(self, *, is_end: bool) -> str:
        whole = self._decode(self._ids)
        if whole.endswith(_BROKEN) and not is_end:
            return ""
        piece = whole[len(self._decode(self._ids[: self._told])) :]
        self._ids = self._ids[-_CHARACTER_BYTES:]
        self._told = len(self._ids)
        return piece


class Stops:
    """Ends a text at certain words, of which nothing is told: what may be the begin of one is held back."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = [word for word in words if word]
        self._held = ""
        self.found = False

    def add(self, piece: str) -> str:
        """What of the text so far can be told."""
        text = self._held + piece
        places = [at for word in self._words if (at := text.find(word)) >= 0]
        if places:
            self._held, self.found = "", True
            return text[: min(places)]
        keep = max((self._overlap(text, word) for word in self._words), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def end(self) -> str:
        """What was held back, and is no stop after all."""
        held, self._held = self._held, ""
        return held

    @staticmethod
    def _overlap(text: str, word: str) -> int:
        """How long an end of the text is a begin of the word."""
        return next((n for n in range(min(len(word) - 1, len(text)), 0, -1) if text.endswith(word[:n])), 0)
