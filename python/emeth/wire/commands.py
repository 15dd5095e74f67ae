"""What a parent asks of a child that runs: the later lines of stdin, mirroring `src/protocol/trainer.ts`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from emeth.wire.params import Above0
from emeth.wire.parse import Count, ParseError, Path, Pattern, Positive, Range, parse, select

Id = Annotated[int, Range(1)]
Sha256 = Annotated[str, Pattern(r"[0-9a-f]{64}")]


@dataclass(frozen=True, kw_only=True, slots=True)
class WholeTheta:
    path: Path
    sha256: Sha256


@dataclass(frozen=True, kw_only=True, slots=True)
class DeltaTheta:
    delta: Path
    base: Sha256
    sha256: Sha256
    # The base, for a child that does not hold it.
    base_path: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RoundRun:
    type: Literal["round.run"]
    id: Id
    round: Count
    start: Count
    shard: Path
    theta: WholeTheta | DeltaTheta
    out: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class RoundCancel:
    type: Literal["round.cancel"]
    id: Id


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeMake:
    type: Literal["probe.make"]
    id: Id
    seed: Count
    blocks: Annotated[int, Range(1, 10_000)]
    theta: Path
    shard: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Compare:
    type: Literal["compare"]
    id: Id
    update: Path
    expected: Path


TrainCommand = RoundRun | RoundCancel | ProbeMake | Compare


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepare:
    type: Literal["prepare"]
    id: Id
    dataset: Path
    max_bytes: Positive


@dataclass(frozen=True, kw_only=True, slots=True)
class Init:
    type: Literal["init"]
    id: Id
    out: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    type: Literal["cut"]
    id: Id
    start: Count
    end: Positive
    out: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class GainQuestion:
    theta: Path
    shard: Path
    sequences: Positive


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspect:
    type: Literal["inspect"]
    id: Id
    update: Path
    theta: Path | None = None
    others: tuple[Path, ...] = ()
    gain: GainQuestion | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightedUpdate:
    path: Path
    weight: Annotated[float, Range(Above0)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Fold:
    type: Literal["fold"]
    id: Id
    theta: Path
    updates: tuple[WeightedUpdate, ...]
    scale: Annotated[float, Range(0, 1)]
    theta_out: Path
    outer_out: Path
    delta_out: Path
    outer: Path | None = None
    weights: tuple[Annotated[float, Range(0)], ...] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ThetaModel:
    theta: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluate:
    type: Literal["evaluate"]
    id: Id
    model: ThetaModel
    max_sequences: Count


@dataclass(frozen=True, kw_only=True, slots=True)
class Rehearse:
    type: Literal["rehearse"]
    id: Id
    theta: Path
    sequences: Positive


@dataclass(frozen=True, kw_only=True, slots=True)
class CurvePoint:
    """Held-out loss after so many trained tokens."""

    tokens: Count
    loss: float


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedBase:
    """A base as other software is told to find it: a repository of the hub at a commit, or a file list."""

    name: str
    revision: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Export:
    type: Literal["export"]
    id: Id
    theta: Path
    directory: Path
    card: dict[str, str]
    curve: tuple[CurvePoint, ...]
    base: NamedBase | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatMessage:
    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Write:
    type: Literal["write"]
    id: Id
    max_new_tokens: Positive
    temperature: Annotated[float, Range(0, 10)]
    top_k: Count
    seed: Count
    prompt: str = ""
    messages: tuple[ChatMessage, ...] = ()


CoordinateCommand = Prepare | Init | Cut | Inspect | Compare | Fold | Evaluate | Rehearse | Export

_TRAIN = {"round.run": RoundRun, "round.cancel": RoundCancel, "probe.make": ProbeMake, "compare": Compare}
_COORDINATE = {
    "prepare": Prepare,
    "init": Init,
    "cut": Cut,
    "inspect": Inspect,
    "compare": Compare,
    "fold": Fold,
    "evaluate": Evaluate,
    "rehearse": Rehearse,
    "export": Export,
}


def parse_train_command(value: object) -> TrainCommand:
    """A command of a `train` child. Raises ParseError."""
    command: TrainCommand = parse(select(_TRAIN, value, "type"), value, "command")
    return command


def parse_coordinate_command(value: object) -> CoordinateCommand:
    """A command of a `coordinate` child. Raises ParseError."""
    command: CoordinateCommand = parse(select(_COORDINATE, value, "type"), value, "command")
    if isinstance(command, Fold) and not command.updates:
        raise ParseError("command.updates must hold at least one update.")
    if isinstance(command, Fold) and command.weights is not None and len(command.weights) != len(command.updates):
        message = f"command.weights holds {len(command.weights)} numbers for {len(command.updates)} updates."
        raise ParseError(message)
    return command


def parse_generate_command(value: object) -> Write:
    """A command of a `generate` child. Raises ParseError."""
    return parse(Write, value, "command")
