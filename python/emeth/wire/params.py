"""A job's parameters, mirroring `src/protocol/job-params.ts`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from emeth.wire.model_shape import Shape
from emeth.wire.parse import ParseError, Range

CodecName = Literal["fp32", "bf16", "int8", "int4", "int2", "sparse"]
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
    optimiser: Literal["adamw", "muon"]
    muon_lr: Annotated[float, Range(Above0, 1)]
    muon_momentum: Annotated[float, Range(0, 0.9999)]


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
    codec: CodecName
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
