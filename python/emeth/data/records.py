"""One record of a data set: a text, or messages of which the answers are learnt.

Every form that people bring becomes one of the two. What fits none is `Broken`, with the reason in words.
"""

import json
from dataclasses import dataclass
from typing import Any

Message = dict[str, str]
# A record, and so a line, that is longer is refused: it would have to be held in memory several times.
MAX_RECORD_BYTES = 16 * 1024 * 1024
_ROLES = ("system", "user", "assistant", "tool")
_SHARE_GPT = {"human": "user", "user": "user", "gpt": "assistant", "chatgpt": "assistant", "assistant": "assistant"}
_SHARE_GPT |= {"system": "system", "tool": "tool"}
# The known sets of fields, best first, as (needed, form).
FORMS = (
    (("messages",), "messages"),
    (("conversations",), "messages"),
    (("prompt", "completion"), "prompt"),
    (("instruction", "output"), "instruction"),
    (("text",), "text"),
)
KNOWN = (
    '{"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}, '
    '{"prompt": "…", "completion": "…"}, {"instruction": "…", "input": "…", "output": "…"} or {"text": "…"}'
)
_SHOWN = 120


class Broken(Exception):
    """A record that cannot be trained on; the message completes "line 7 …"."""


@dataclass(frozen=True, slots=True)
class Record:
    """A text, or messages; `form` is what it was written as."""

    form: str
    text: str = ""
    messages: tuple[Message, ...] = ()


def parse_record(line: bytes, field: str | None) -> Record:
    """The record in a JSON object. Raises Broken."""
    if len(line) > MAX_RECORD_BYTES:
        raise Broken(f"has {len(line)} bytes; a record has at most {MAX_RECORD_BYTES}")
    try:
        value = json.loads(line)
    except UnicodeDecodeError as error:
        raise Broken(f"is not UTF-8 (byte {error.start} is 0x{line[error.start]:02x})") from error
    except (ValueError, RecursionError) as error:
        raise Broken(f"is not JSON ({error}): {excerpt(line)}") from error
    if isinstance(value, str):
        value = {"text": value}
    if not isinstance(value, dict):
        raise Broken(f"is {kind_of(value)}, not an object: {excerpt(line)}")
    record = read_record(value, field)
    try:
        for text in (record.text, *(part for message in record.messages for part in message.values())):
            if "\0" in text:
                raise Broken("holds the character NUL, which no text has")
            text.encode()
    except UnicodeEncodeError as error:
        raise Broken(f"holds half a surrogate pair ({error.object[error.start]!a}), which no text has") from error
    return record


def read_record(value: dict[str, Any], field: str | None) -> Record:
    """The record in an object; what is null is absent, as parquet has it. Raises Broken."""
    found = {name: part for name, part in value.items() if part is not None}
    if field is not None:
        return _of_field(found, field)
    form = next((form for needed, form in FORMS if all(name in found for name in needed)), None)
    if form == "messages":
        return Record(form, messages=_messages(found.get("messages", found.get("conversations"))))
    if form == "prompt":
        return Record(form, messages=_prompt(found["prompt"], found["completion"]))
    if form == "instruction":
        return Record(form, messages=_instruction(found))
    if form == "text":
        return Record(form, text=_text(found["text"], "text"))
    raise Broken(f"fits no known form: {_fields(found)}. Known are {KNOWN}. It begins {excerpt(value)}")


def _of_field(found: dict[str, Any], field: str) -> Record:
    if field not in found:
        raise Broken(f"has no {field!r} (data.field): {_fields(found)}")
    value = found[field]
    if isinstance(value, list):
        return Record("messages", messages=_messages(value))
    return Record("text", text=_text(value, field))


def _fields(found: dict[str, Any]) -> str:
    names = ", ".join(str(name)[:40] for name in list(found)[:20])
    return f"it has the fields {names}" if names else "it has no fields"


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise Broken(f"has {kind_of(value)} as {name!r}, not text")
    if not value.strip():
        raise Broken(f"has an empty {name!r}")
    return value


def _prompt(prompt: object, completion: object) -> tuple[Message, ...]:
    if isinstance(prompt, list) and isinstance(completion, list):
        return _messages([*prompt, *completion])
    question, answer = _text(prompt, "prompt"), _text(completion, "completion")
    return ({"role": "user", "content": question}, {"role": "assistant", "content": answer})


def _instruction(found: dict[str, Any]) -> tuple[Message, ...]:
    question, answer = _text(found["instruction"], "instruction"), _text(found["output"], "output")
    more = found.get("input", "")
    if not isinstance(more, str):
        raise Broken(f"has {kind_of(more)} as 'input', not text")
    if more.strip():
        question = f"{question}\n\n{more}"
    system = found.get("system")
    first = ({"role": "system", "content": system},) if isinstance(system, str) and system.strip() else ()
    return (*first, {"role": "user", "content": question}, {"role": "assistant", "content": answer})


def _messages(value: object) -> tuple[Message, ...]:
    if not isinstance(value, list):
        raise Broken(f"has {kind_of(value)} as its messages, not a list")
    if not value:
        raise Broken("has no messages")
    return tuple(_message(part, i + 1) for i, part in enumerate(value))


def _message(value: object, number: int) -> Message:
    if not isinstance(value, dict):
        raise Broken(f"has {kind_of(value)} as message {number}, not an object with role and content")
    found = {name: part for name, part in value.items() if part is not None}
    if "from" in found and "role" not in found:
        role, content = _SHARE_GPT.get(str(found["from"])), found.get("value")
        given = found["from"]
    else:
        given = found.get("role")
        role, content = (given if given in _ROLES else None), found.get("content")
    if role is None:
        known = ", ".join(_ROLES)
        raise Broken(f"has the role {str(given)[:40]!r} in message {number}; known are {known}")
    if found.get("tool_calls"):
        raise Broken(f"calls tools in message {number}, which cannot be trained on")
    text = _content(content, number)
    if not text.strip():
        raise Broken(f"has an empty message {number} ({role})")
    return {"role": str(role), "content": text}


def _content(value: object, number: int) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        raise Broken(f"has no content in message {number}")
    if isinstance(value, list) and all(isinstance(part, dict) for part in value):
        others = [part.get("type") for part in value if part.get("type") != "text"]
        if others:
            raise Broken(f"has {str(others[0])[:40]!r} in message {number}; only text can be trained on")
        return "".join(str(part.get("text", "")) for part in value)
    raise Broken(f"has {kind_of(value)} as the content of message {number}, not text")


def kind_of(value: object) -> str:
    """What JSON calls a value."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), "nothing" if value is None else type(value).__name__)


def excerpt(value: object) -> str:
    """The beginning of a line or value, printable."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else json.dumps(value, default=str)
    short = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in short)
