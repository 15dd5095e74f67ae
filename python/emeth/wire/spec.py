"""What a child is started for: the first line of its stdin, mirroring `src/protocol/trainer.ts`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from emeth.wire.params import DataFormat, ModelShape, Params
from emeth.wire.parse import Count, ParseError, Path, Pattern, Positive, Range, parse, parse_json, select

Device = Annotated[str, Pattern(r"cpu|cuda|cuda:\d+")]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Child:
    """What every child is told of its machine."""

    device: Device
    threads: Count
    work_dir: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class TeamPlace:
    """A box's place among those that train together; `address` and `port` are where they meet, on the first."""

    boxes: Annotated[int, Range(2, 64)]
    rank: Annotated[int, Range(0, 63)]
    address: Annotated[str, Pattern(r"[0-9a-f.:]+")]
    port: Annotated[int, Range(1, 65535)]
    interface: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Processes(_Child):
    """What several processes for one model are told."""

    processes: Annotated[int, Range(1, 64)] = 1
    # How long its processes wait for each other.
    team_ms: Annotated[int, Range(1000)] = 600_000


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainSpec(_Processes):
    kind: Literal["train"]
    job_id: str
    params: Params
    vocab_size: Annotated[int, Range(2)]
    total_blocks: Positive
    micro_batch: Positive
    team: TeamPlace | None = None
    sharded: bool = False
    base: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class MemberSpec(_Processes):
    kind: Literal["member"]
    team: TeamPlace


@dataclass(frozen=True, kw_only=True, slots=True)
class CoordinateSpec(_Child):
    kind: Literal["coordinate"]
    job_id: str
    params: Params
    base: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchSpec(_Child):
    kind: Literal["bench"]


@dataclass(frozen=True, kw_only=True, slots=True)
class CountSpec(_Child):
    kind: Literal["count"]
    params: Params
    dataset: Path
    max_bytes: Positive
    base: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GenerateSpec(_Child):
    kind: Literal["generate"]
    directory: Path
    base: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GgufSpec(_Child):
    kind: Literal["gguf"]
    directory: Path
    quant: Literal["q8_0", "f16", "f32"]
    out: Path
    base: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasureSpec(_Child):
    kind: Literal["measure"]
    directory: Path
    dataset: Path
    format: DataFormat
    field: str | None = None
    base: Path | None = None
    context: Annotated[int, Range(2)] | None = None


Spec = TrainSpec | MemberSpec | CoordinateSpec | BenchSpec | CountSpec | GenerateSpec | GgufSpec | MeasureSpec

_SPECS = {
    "train": TrainSpec,
    "member": MemberSpec,
    "coordinate": CoordinateSpec,
    "bench": BenchSpec,
    "count": CountSpec,
    "generate": GenerateSpec,
    "gguf": GgufSpec,
    "measure": MeasureSpec,
}


def parse_spec(line: bytes) -> Spec:
    """The first line of stdin. Raises ParseError."""
    value = parse_json(line)
    spec: Spec = parse(select(_SPECS, value, "kind"), value, "spec")
    if isinstance(spec, TrainSpec | CoordinateSpec | CountSpec):
        _check_params(spec.params, spec.base)
    return spec


def _check_params(params: Params, base: str | None) -> None:
    model, is_scratch = params.model, params.tune == "none"
    if isinstance(model, ModelShape) and model.width % model.heads != 0:
        raise ParseError("spec.params.model.width must be a multiple of heads.")
    if isinstance(model, ModelShape) != is_scratch or (params.lora is not None) != (params.tune == "lora"):
        raise ParseError(f"spec.params do not fit together with tune {params.tune!r}.")
    if params.lora is not None and params.inner.optimiser == "muon":
        raise ParseError("spec.params.inner.optimiser must be 'adamw' with an adapter.")
    if (base is None) != is_scratch:
        raise ParseError(f"spec.base must be given exactly with a job that starts from one; tune is {params.tune!r}.")
