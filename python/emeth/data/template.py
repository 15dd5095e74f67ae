"""Chat templates: how messages become one text, and which parts of it are answers.

The language is the one that Hugging Face's templates are written in (Jinja in a sandbox), with what transformers adds
to it. The answers are found by rendering turn by turn: what a turn of the assistant adds is learnt, the rest is only
read. A template that later changes what it had written before cannot be learnt from like that, and is refused.
"""

import datetime
import functools
import json
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from emeth.data.records import Broken, Message
from emeth.wire.events import Failure

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
PLAIN = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
ALPACA = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}{{ '### Response:\\n' + message['content'] + '\\n\\n' }}"
    "{% elif message['role'] == 'user' %}{{ '### Instruction:\\n' + message['content'] + '\\n\\n' }}"
    "{% else %}{{ message['content'] + '\\n\\n' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '### Response:\\n' }}{% endif %}"
)
# Templates a job can name, and the words of each that become single tokens of a BPE trained on its data.
TEMPLATES = {"chatml": CHATML, "plain": PLAIN, "alpaca": ALPACA}
SPECIAL_WORDS = {"chatml": ("<|im_start|>", "<|im_end|>")}
# Seconds of computing that the chats of a batch may take, which take milliseconds.
_MOST_SECONDS = 60.0
# Templates that write today's date would make other data of a job each day.
_TODAY = datetime.datetime(2024, 7, 26, tzinfo=datetime.timezone.utc)


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """A template, and the special tokens it may name (`bos_token`, `eos_token`, …)."""

    source: str
    tokens: dict[str, str] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        return {"source": self.source, "tokens": self.tokens}

    def document(self, messages: Sequence[Message]) -> tuple[bytes, list[tuple[int, int]]]:
        """The text of a chat in UTF-8, and the spans of its answers in bytes. Raises Broken and Failure."""
        render = _compile(self.source)
        text, parts, spans, at = "", [], [], 0
        for i, message in enumerate(messages):
            is_last = i + 1 == len(messages)
            if message["role"] != "assistant" and not is_last:
                continue
            before = text
            if message["role"] == "assistant":
                head = self._render(render, messages[:i], True) if i > 0 else ""
                text = self._render(render, messages[: i + 1], False)
                _require_prefix(before, head, i)
                _require_prefix(head, text, i + 1)
                parts += [head[len(before) :].encode(), text[len(head) :].encode()]
                spans.append((at + len(parts[-2]), at + len(parts[-2]) + len(parts[-1])))
            else:
                text = self._render(render, messages, False)
                _require_prefix(before, text, i + 1)
                parts.append(text[len(before) :].encode())
            at = sum(map(len, parts))
        return b"".join(parts), spans

    def text(self, messages: Sequence[Message], answering: bool) -> str:
        """A chat as a model reads it; with `answering` up to where its next answer begins. Raises Broken."""
        return self._render(_compile(self.source), messages, answering)

    def _render(self, render: Callable[..., str], messages: Sequence[Message], add_generation_prompt: bool) -> str:
        try:
            return render(messages=messages, add_generation_prompt=add_generation_prompt, **self.tokens)
        except _Raised as error:
            raise Broken(f"is refused by the chat template: {error}") from error
        except (TemplateError, TypeError, ValueError, KeyError, ArithmeticError, AttributeError) as error:
            raise Broken(f"cannot be written by the chat template ({error})") from error


def _require_prefix(short: str, long: str, turn: int) -> None:
    if long.startswith(short):
        return
    at = next((i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(long))
    found, later = (repr(text[max(0, at - 20) : at + 20]) for text in (short, long))
    raise Failure(
        "data/bad-template",
        f"The chat template changes what it has written: up to message {turn} it is {found}, and then {later}. Answers "
        "cannot be told from questions like that; name another by data.template, or give chats of one answer each.",
    )


def given_template(text: str, tokens: dict[str, str]) -> ChatTemplate:
    """The template that a job names, or writes out. Raises `data/bad-template`."""
    if text in TEMPLATES:
        return ChatTemplate(TEMPLATES[text], tokens)
    if "{{" not in text and "{%" not in text:
        message = f"data.template is {text[:100]!r}: neither {', '.join(TEMPLATES)} nor a template in Jinja."
        raise Failure("data/bad-template", message)
    return ChatTemplate(text, tokens)


@contextmanager
def bounded_time(seconds: float = _MOST_SECONDS) -> Iterator[None]:
    """Ends templates that would never end. Only the main thread of a process can be bounded. Raises Failure."""

    def stop(*_: object) -> None:
        message = f"The chat template takes more than {seconds:g} s for a few chats; give one that is simpler."
        raise Failure("data/bad-template", message)

    if not hasattr(signal, "setitimer"):  # Windows
        yield
        return
    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


class _Raised(Exception):
    """A template's own refusal."""


class _Generation(Extension):
    """`{% generation %} … {% endgeneration %}` marks an answer; here it only has to be read over."""

    tags = {"generation"}  # noqa: RUF012 - as jinja2 has it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _raise_exception(message: str) -> None:
    raise _Raised(message)


def _strftime_now(form: str) -> str:
    return _TODAY.strftime(form)


def _to_json(value: object, **options: Any) -> str:  # noqa: ANN401 - those of json.dumps
    return json.dumps(value, ensure_ascii=options.pop("ensure_ascii", False), **options)


@functools.lru_cache(maxsize=4)
def _compile(source: str) -> Callable[..., str]:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals |= {"raise_exception": _raise_exception, "strftime_now": _strftime_now}
    try:
        return environment.from_string(source).render
    except TemplateError as error:
        raise Failure("data/bad-template", f"The chat template cannot be read: {error}.") from error
