"""Text from a finished model, to try it at once: what follows a prompt, or the answers of a conversation."""

from typing import Any

import torch

from emeth.data.records import Message
from emeth.models.result import find_result, load_result
from emeth.models.text import Text
from emeth.models.writing import Choice, Stops, Unfolding, write_tokens
from emeth.wire.commands import Write, parse_generate_command
from emeth.wire.events import Failure, Inbox, Outbox
from emeth.wire.parse import parse_json
from emeth.wire.spec import GenerateSpec


def run(spec: GenerateSpec, inbox: Inbox, outbox: Outbox) -> None:
    """Answer commands until stdin ends."""
    result = find_result(spec.directory, spec.base)
    text = Text(result)
    model = load_result(result, spec.device)
    parameters = sum(weight.numel() for weight in model.parameters())
    outbox.emit("ready", device=spec.device, threads=torch.get_num_threads(), parameters=parameters)
    while True:
        command = parse_generate_command(parse_json(inbox.next_line()))
        try:
            _Writer(command, text, outbox).write(model, inbox)
        except Failure as error:
            outbox.emit("failed", id=command.id, code=error.code, message=str(error))


class _Writer:
    """Writes one text, and tells it piece by piece."""

    def __init__(self, command: Write, text: Text, outbox: Outbox) -> None:
        self._command, self._outbox = command, outbox
        messages: list[Message] = [{"role": part.role, "content": part.content} for part in command.messages]
        ids, words = text.answer_ends() if messages else (set(), [])
        self._start = text.turn(messages) if messages else text.start_of(command.prompt)
        self._ends, self._stops = ids | text.ends(), Stops(words)
        self._unfolding = Unfolding(text.tokenizer.decode, self._start)
        self._told = ""

    def write(self, model: Any, inbox: Inbox) -> None:  # noqa: ANN401 - of transformers
        """Until the text ends, there are enough tokens, or the parent is gone."""
        command, count, end = self._command, 0, "limit"
        choice = Choice(temperature=command.temperature, top_k=command.top_k, seed=command.seed)
        for token in write_tokens(model, self._start, choice):
            inbox.check_open()
            if token in self._ends:
                end = "text"
                break
            count += 1
            self._tell(self._stops.add(self._unfolding.add(token)))
            if self._stops.found or count == command.max_new_tokens:
                break
        if not self._stops.found:
            self._tell(self._stops.add(self._unfolding.end()) + self._stops.end())
        end = "text" if self._stops.found else end
        self._outbox.emit("written", id=command.id, text=self._told, tokens=count, end=end)

    def _tell(self, piece: str) -> None:
        self._told += piece
        if piece:
            self._outbox.emit("piece", id=self._command.id, text=piece)
