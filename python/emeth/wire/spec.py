"""Specs and commands of the parent, mirroring `src/protocol/trainer.ts` and `src/protocol/job-params.ts`."""

import json
from dataclasses import dataclass
from typing import Annotated, Literal

from emeth.wire.model_shape import Shape
from emeth.wire.parse import ParseError, Pattern, Range, parse

Id = Annotated[int, Range(1)]
Count = Annotated[int, Range(0)]
Positive = Annotated[int, Range(1)]
Path = Annotated[str, Pattern(r".+")]
Sha256 = Annotated[str, Pattern(r"[0-9a-f]{64}")]
Device = Annotated[str, Pattern(r"cpu|cuda|cuda:\d+")]
Codec = Literal["int8", "bf16", "fp32"]
Above0 = 5e-324


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelShape:
    family: Literal["gpt2", "llama"]
    layers: Annotated[int, Range(1, 96)]
    heads: Annotated[int, Range(1, 128)]
    width: Annotated[int, Range(16, 16384)]
    context: Annotated[int, Range(16, 8192)]
    dropout: Annotated[float, Range(0, 0.9)]


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseModel:
    """What a job with a base says about its model; all else is in the base's files."""

    context: Annotated[int, Range(16, 8192)]
    dropout: Annotated[float, Range(0, 0.9)]


@dataclass(frozen=True, kw_only=True, slots=True)
class ByteTokenizer:
    type: Literal["byte"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BpeTokenizer:
    type: Literal["bpe"]
    vocab_size: Annotated[int, Range(300, 262144)]


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseTokenizer:
    type: Literal["base"]


TokenizerParams = ByteTokenizer | BpeTokenizer | BaseTokenizer


DataFormat = Literal["auto", "text", "json", "jsonl", "csv", "tsv", "parquet"]


@dataclass(frozen=True, kw_only=True, slots=True)
class DataParams:
    format: DataFormat
    skip_broken: Annotated[float, Range(0, 0.01)]
    language: Literal["auto", "ja", "other"]
    loss: Literal["auto", "all", "answers"]
    field: str | None = None
    template: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LoraParams:
    r: Annotated[int, Range(1, 1024)]
    alpha: Annotated[float, Range(Above0, 4096)]
    dropout: Annotated[float, Range(0, 0.9)]
    targets: Literal["auto"] | tuple[str, ...]
    merge: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class RoundParams:
    steps: Annotated[int, Range(1, 10000)]


@dataclass(frozen=True, kw_only=True, slots=True)
class InnerParams:
    lr: Annotated[float, Range(Above0, 1)]
    min_lr_ratio: Annotated[float, Range(0, 1)]
    warmup: Annotated[float, Range(0, 0.5)]
    weight_decay: Annotated[float, Range(0, 1)]
    beta1: Annotated[float, Range(0, 0.9999)]
    beta2: Annotated[float, Range(0, 0.99999)]
    clip: Annotated[float, Range(Above0)]


@dataclass(frozen=True, kw_only=True, slots=True)
class OuterParams:
    lr: Annotated[float, Range(Above0, 4)]
    momentum: Annotated[float, Range(0, 0.999)]


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditParams:
    rate: Annotated[float, Range(0, 1)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """A job's parameters with nothing left open; the parent applies the defaults."""

    program: Literal["lm"]
    tune: Literal["none", "full", "lora"]
    model: ModelShape | BaseModel
    tokenizer: TokenizerParams
    data: DataParams
    seed: Annotated[int, Range(0, 2**31 - 1)]
    epochs: Annotated[float, Range(Above0, 1000)]
    batch: Annotated[int, Range(1, 4096)]
    round: RoundParams
    inner: InnerParams
    outer: OuterParams
    audit: AuditParams
    min_gain: Annotated[float, Range(0)]
    codec: Codec
    precision: Literal["auto", "fp32", "bf16"]
    gradient_checkpointing: bool
    accumulate: Annotated[int, Range(1, 4096)]
    base: str | None = None
    lora: LoraParams | None = None
    validation: Annotated[float, Range(0.01, 0.5)] | None = None
    partial: bool = False
    public: bool = False

    def shape(self, vocab_size: int) -> Shape:
        """The model these parameters ask for, of a job from scratch."""
        model = self.model
        if not isinstance(model, ModelShape):
            raise ParseError("A job with a base takes its shape from the base's files.")
        return Shape(
            layers=model.layers,
            heads=model.heads,
            width=model.width,
            context=model.context,
            dropout=model.dropout,
            vocab_size=vocab_size,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainSpec:
    kind: Literal["train"]
    device: Device
    threads: Count
    work_dir: Path
    job_id: str
    params: Params
    vocab_size: Annotated[int, Range(2)]
    total_blocks: Positive
    micro_batch: Positive
    processes: Annotated[int, Range(1, 64)] = 1
    base: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CoordinateSpec:
    kind: Literal["coordinate"]
    device: Device
    threads: Count
    work_dir: Path
    job_id: str
    params: Params
    base: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchSpec:
    kind: Literal["bench"]
    device: Device
    threads: Count
    work_dir: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class CountSpec:
    kind: Literal["count"]
    device: Device
    threads: Count
    work_dir: Path
    params: Params
    dataset: Path
    max_bytes: Positive
    base: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GenerateSpec:
    kind: Literal["generate"]
    device: Device
    threads: Count
    work_dir: Path
    directory: Path
    base: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GgufSpec:
    kind: Literal["gguf"]
    device: Device
    threads: Count
    work_dir: Path
    directory: Path
    quant: Literal["q8_0", "f16", "f32"]
    out: Path
    base: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasureSpec:
    kind: Literal["measure"]
    device: Device
    threads: Count
    work_dir: Path
    directory: Path
    dataset: Path
    format: DataFormat
    field: str | None = None
    base: Path | None = None
    context: Annotated[int, Range(2)] | None = None


Spec = TrainSpec | CoordinateSpec | BenchSpec | CountSpec | GenerateSpec | GgufSpec | MeasureSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class WholeTheta:
    path: Path
    sha256: Sha256


@dataclass(frozen=True, kw_only=True, slots=True)
class DeltaTheta:
    delta: Path
    base: Sha256
    sha256: Sha256


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

_SPECS = {
    "train": TrainSpec,
    "coordinate": CoordinateSpec,
    "bench": BenchSpec,
    "count": CountSpec,
    "generate": GenerateSpec,
    "gguf": GgufSpec,
    "measure": MeasureSpec,
}
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


def parse_spec(line: bytes) -> Spec:
    """The first line of stdin. Raises ParseError."""
    value = parse_json(line)
    spec: Spec = parse(_select(_SPECS, value, "kind"), value, "spec")
    if isinstance(spec, TrainSpec | CoordinateSpec | CountSpec):
        _check_params(spec.params, spec.base)
    return spec


def _check_params(params: Params, base: str | None) -> None:
    model, is_scratch = params.model, params.tune == "none"
    if isinstance(model, ModelShape) and model.width % model.heads != 0:
        raise ParseError("spec.params.model.width must be a multiple of heads.")
    if isinstance(model, ModelShape) != is_scratch or (params.lora is not None) != (params.tune == "lora"):
        raise ParseError(f"spec.params do not fit together with tune {params.tune!r}.")
    if (base is None) != is_scratch:
        raise ParseError(f"spec.base must be given exactly with a job that starts from one; tune is {params.tune!r}.")


def parse_train_command(value: object) -> TrainCommand:
    """A command of a `train` child. Raises ParseError."""
    command: TrainCommand = parse(_select(_TRAIN, value, "type"), value, "command")
    return command


def parse_coordinate_command(value: object) -> CoordinateCommand:
    """A command of a `coordinate` child. Raises ParseError."""
    command: CoordinateCommand = parse(_select(_COORDINATE, value, "type"), value, "command")
    if isinstance(command, Fold) and not command.updates:
        raise ParseError("command.updates must hold at least one update.")
    if isinstance(command, Fold) and command.weights is not None and len(command.weights) != len(command.updates):
        message = f"command.weights holds {len(command.weights)} numbers for {len(command.updates)} updates."
        raise ParseError(message)
    return command


def parse_generate_command(value: object) -> Write:
    """A command of a `generate` child. Raises ParseError."""
    return parse(Write, value, "command")


def parse_json(line: bytes) -> object:
    """The JSON value of a line. Raises ParseError."""
    try:
        value: object = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ParseError(f"The line is not JSON: {error}.") from error
    return value


def _select(kinds: dict[str, type], value: object, tag: str) -> type:
    found = kinds.get(str(value.get(tag))) if isinstance(value, dict) else None
    if found is None:
        raise ParseError(f"{tag!r} must be one of {', '.join(kinds)}.")
    return found
