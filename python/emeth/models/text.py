"""The words of a result: its tokenizer both ways, its chat template, and what ends a text or an answer."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emeth.data.base_tokenizer import TOKENIZER_FILES, base_template, embedding_rows, open_base, own_template
from emeth.data.records import Broken, Message
from emeth.models.result import Result
from emeth.wire.events import Failure

# Stands for an answer in a conversation that is written only to see what comes behind one.
_ANSWER = "\N{SUBSTITUTE}"


class Text:
    """Text to ids and back, as a result's own files say."""

    def __init__(self, result: Result) -> None:
        self._result = result
        self.tokenizer = open_base(result.place_of(*TOKENIZER_FILES), embedding_rows(result.whole.directory))
        places = (result.directory, result.whole.directory)
        self.template = next((own_template(place) for place in places if base_template(place) is not None), None)

    def start_of(self, text: str) -> list[int]:
        """The ids of a text to go on from; of an empty one what a text begins with, or the end of the one before."""
        ids = [*self.tokenizer.begin, *map(int, self.tokenizer.encode(text.encode()))]
        return ids or [self.tokenizer.end or 0]

    def turn(self, messages: Sequence[Message]) -> list[int]:
        """The ids of a conversation up to where the assistant answers. Raises `model/no-template`, `model/bad-chat`."""
        return [int(token) for token in self.tokenizer.encode(self._written(messages, answering=True).encode())]

    def ends(self) -> set[int]:
        """Ids that end a text, by the tokenizer and by the model's own settings."""
        path = Path(self._result.place_of("generation_config.json"), "generation_config.json")
        named: Any = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id") if path.is_file() else None
        several = named if isinstance(named, list) else [named]
        return {end for end in (self.tokenizer.end, *several) if isinstance(end, int)}

    def answer_ends(self) -> tuple[set[int], list[str]]:
        """Ids and words that the template writes behind an answer."""
        asked: list[Message] = [{"role": "user", "content": "?"}]
        answered: list[Message] = [*asked, {"role": "assistant", "content": _ANSWER}]
        behind = self._written(answered, answering=False).rpartition(_ANSWER)[2].strip()
        if not behind:
            # Nothing closes an answer, so what opens the next message does.
            later = self._written([*answered, *asked], answering=False).rpartition(_ANSWER)[2]
            behind = later.partition("?")[0].strip()
        ids = [int(token) for token in self.tokenizer.encode(behind.encode())]
        # A special token ends an answer as an id, as it is no part of the text; other words do as they are written.
        if ids and self.tokenizer.decode(ids[:1]) == "":
            return {ids[0]}, []
        return set(), [behind] if behind else []

    def _written(self, messages: Sequence[Message], *, answering: bool) -> str:
        if self.template is None:
            message = "The model has no chat template: it was not trained on conversations. Leave out --chat."
            raise Failure("model/no-template", message)
        try:
            return self.template.text(messages, answering)
        except Broken as error:
            raise Failure("model/bad-chat", f"The conversation {error}.") from error
