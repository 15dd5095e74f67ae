"""Strict JSON → frozen dataclasses: unknown, missing or out-of-range keys are errors of one sentence.

A field `work_dir` is the key `workDir`.
"""

import dataclasses
import json
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

T = TypeVar("T")


class ParseError(Exception):
    """The value does not have the shape it must have; the message names the place."""


@dataclass(frozen=True, slots=True)
class Range:
    """Inclusive limits of a number."""

    low: float
    high: float = float("inf")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression the whole text must match."""

    regex: str


# Kinds of fields that several messages have.
Count = Annotated[int, Range(0)]
Positive = Annotated[int, Range(1)]
Path = Annotated[str, Pattern(r".+")]


def camel(name: str) -> str:
    """A field's name as the wire spells it."""
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def parse(kind: type[T], value: object, path: str = "value") -> T:
    """The value as an instance of a dataclass."""
    result: T = _parse(kind, value, path)
    return result


def _parse(kind: Any, value: object, path: str) -> Any:  # noqa: ANN401, PLR0911 - types are data here, one return each
    origin = get_origin(kind)
    if dataclasses.is_dataclass(kind):
        return _parse_dataclass(kind, value, path)
    if origin is Annotated:
        base, *checks = get_args(kind)
        return _check(_parse(base, value, path), checks, path)
    if origin is Literal:
        if value not in get_args(kind):
            raise ParseError(f"{path} must be one of {', '.join(map(repr, get_args(kind)))}, not {value!r}.")
        return value
    if origin in (Union, types.UnionType):
        return _parse_union(get_args(kind), value, path)
    if origin is tuple:
        if not isinstance(value, list):
            raise ParseError(f"{path} must be a list.")
        return tuple(_parse(get_args(kind)[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise ParseError(f"{path} must be an object.")
        return {name: _parse(get_args(kind)[1], item, f"{path}.{name}") for name, item in value.items()}
    return _parse_plain(kind, value, path)


def _parse_plain(kind: type, value: object, path: str) -> object:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, bool) and kind is not bool:
        raise ParseError(f"{path} must be {kind.__name__}, not {value!r}.")
    if not isinstance(value, kind):
        raise ParseError(f"{path} must be {kind.__name__}, not {value!r}.")
    return value


def _check(value: Any, checks: list[Any], path: str) -> Any:  # noqa: ANN401
    for check in checks:
        if isinstance(check, Range) and not check.low <= value <= check.high:
            raise ParseError(f"{path} must lie in [{check.low:g}, {check.high:g}], not {value!r}.")
        if isinstance(check, Pattern) and not re.fullmatch(check.regex, value):
            raise ParseError(f"{path} must match {check.regex}, not {value!r}.")
    return value


def _parse_dataclass(kind: Any, value: object, path: str) -> Any:  # noqa: ANN401
    if not isinstance(value, Mapping):
        raise ParseError(f"{path} must be an object, not {value!r}.")
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = {camel(field.name): field for field in dataclasses.fields(kind)}
    unknown = [name for name in value if name not in fields]
    if unknown:
        raise ParseError(f"{path}.{unknown[0]} is not a known key.")
    arguments = {}
    for name, field in fields.items():
        if name in value:
            arguments[field.name] = _parse(hints[field.name], value[name], f"{path}.{name}")
        elif field.default is dataclasses.MISSING:
            raise ParseError(f"{path}.{name} is missing.")
    return kind(**arguments)


def _parse_union(members: tuple[Any, ...], value: object, path: str) -> Any:  # noqa: ANN401
    if value is None and types.NoneType in members:
        return None
    candidates = [member for member in members if member is not types.NoneType]
    if len(candidates) > 1 and isinstance(value, Mapping):
        candidates = [member for member in candidates if _could_be(member, value)]
    reasons = []
    for member in candidates:
        try:
            return _parse(member, value, path)
        except ParseError as error:
            reasons.append(str(error))
    raise ParseError(reasons[0] if len(reasons) == 1 else f"{path} is none of the forms known here: {value!r}.")


def _could_be(kind: Any, value: Mapping[Any, object]) -> bool:  # noqa: ANN401
    """True when the literal fields (`type`, `kind`), or else the key names, of a dataclass agree with the value."""
    hints = typing.get_type_hints(kind)
    literals = {name: get_args(hint) for name, hint in hints.items() if get_origin(hint) is Literal}
    tags = [name for name in ("type", "kind") if name in literals]
    if tags:
        return all(value.get(name) in literals[name] for name in tags)
    fields = dataclasses.fields(kind)
    needed = {camel(field.name) for field in fields if field.default is dataclasses.MISSING}
    return needed <= set(value) <= {camel(field.name) for field in fields}


def parse_json(line: bytes) -> object:
    """The JSON value of a line. Raises ParseError."""
    try:
        value: object = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ParseError(f"The line is not JSON: {error}.") from error
    return value


def select(kinds: dict[str, type], value: object, tag: str) -> type:
    """The dataclass that a value names by its tag. Raises ParseError."""
    found = kinds.get(str(value.get(tag))) if isinstance(value, dict) else None
    if found is None:
        raise ParseError(f"{tag!r} must be one of {', '.join(kinds)}.")
    return found
