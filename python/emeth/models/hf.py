"""Models of transformers: a base that is tuned in full, or a Llama from scratch.

The classes are those of the library, by an allow-list (`base.py`); θ holds their weights under the library's names,
so that a θ file is the `model.safetensors` of the result. Importing transformers takes seconds: only here.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig

from emeth.files.codec import theta_layout
from emeth.files.tensors import Layout, TensorReader
from emeth.models.base import Base
from emeth.models.base_tensors import BaseTensors
from emeth.models.bell import INIT_STD, bell
from emeth.models.loss import mean_loss
from emeth.models.network import Network
from emeth.wire.commands import NamedBase
from emeth.wire.events import Failure
from emeth.wire.model_shape import Shape
from emeth.wire.params import Params


class Causal(Network):
    """A causal language model of transformers whose loss never needs the scores of all tokens at once."""

    def __init__(self, inner: Any, context: int) -> None:  # noqa: ANN401 - transformers has no types
        super().__init__()
        self.context, self.vocab_size = context, inner.config.vocab_size
        for name, child in inner.named_children():
            self.add_module(name, child)
        self._trunk: str = inner.base_model_prefix
        self._softcap: float | None = getattr(inner.config, "final_logit_softcapping", None)

    def forward(self, tokens_BT: Tensor, targets_BT: Tensor, mask_BT: Tensor | None = None) -> Tensor:
        """Mean loss in nats over the targets that count."""
        head = self._head()
        return mean_loss(self._hidden(tokens_BT), targets_BT, mask_BT, head.weight, head.bias, self._softcap)

    def logits(self, tokens_BT: Tensor) -> Tensor:
        """Scores of the next token at every place."""
        scores: Tensor = self._head()(self._hidden(tokens_BT)).float()
        return scores if self._softcap is None else self._softcap * torch.tanh(scores / self._softcap)

    def _hidden(self, tokens_BT: Tensor) -> Tensor:
        hidden: Tensor = self.get_submodule(self._trunk)(input_ids=tokens_BT, use_cache=False).last_hidden_state
        return hidden

    def _head(self) -> nn.Linear:
        head = self.get_submodule("lm_head")
        assert isinstance(head, nn.Linear)  # noqa: S101 - so in every class of the list
        return head


class Transformers:
    """What all programs share whose model is one of transformers: they train every weight of it."""

    def __init__(self, params: Params, config: Any) -> None:  # noqa: ANN401
        self._params, self._config = params, config
        self.context, self.vocab_size = params.model.context, int(config.vocab_size)
        shapes = {name: tuple(weight.shape) for name, weight in empty_model(config).named_parameters()}
        self.layout: Layout = theta_layout(shapes)
        self.num_parameters = sum(spec.count for spec in self.layout.values())

    def build(self, device: torch.device | str) -> Network:
        """The model with its memory allocated, not yet initialised."""
        model = empty_model(self._config)
        fill(model, lambda _, empty: torch.empty(empty.shape, device=device))
        return settle(Causal(self._finish(model), self.context), device)

    def frozen(self) -> Iterator[tuple[str, Tensor]]:
        return iter(())

    def write_weights(self, theta: str, directory: Path) -> list[str]:
        """θ is the file that transformers reads."""
        TensorReader(theta, self.layout).close()
        shutil.copyfile(theta, directory / "model.safetensors")
        return ["model.safetensors"]

    def _finish(self, model: Any) -> Any:  # noqa: ANN401
        model.tie_weights()
        if self._params.gradient_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        return model


class LlamaProgram(Transformers):
    """A Llama from scratch."""

    def __init__(self, params: Params, shape: Shape) -> None:
        super().__init__(params, _llama_config(shape))

    def initial(self, seed: int) -> Iterator[tuple[str, Tensor]]:
        """As GPT-2 does: σ 0.02, the projections into the residual ÷ √(2·layers), norms 1."""
        for index, (name, spec) in enumerate(self.layout.items()):
            into_residual = name.endswith(("o_proj.weight", "down_proj.weight"))
            std = INIT_STD / (2 * self._config.num_hidden_layers) ** 0.5 if into_residual else INIT_STD
            yield name, torch.ones(spec.shape) if len(spec.shape) == 1 else bell(spec.shape, std, seed, index)

    def configs(self, base: NamedBase | None) -> dict[str, dict[str, Any]]:
        """All that differs from the library's own settings, whatever its version."""
        settings: dict[str, Any] = self._config.to_diff_dict()
        for name in ("transformers_version", "bos_token_id", "eos_token_id", "pad_token_id"):
            settings.pop(name, None)
        return {"config.json": {"architectures": ["LlamaForCausalLM"], **settings, "dtype": "float32"}}


class FullProgram(Transformers):
    """A base, all of whose weights are trained."""

    def __init__(self, params: Params, base: Base) -> None:
        super().__init__(params, base_config(params, base))
        self._base = base
        self._tensors = BaseTensors(base, empty_model(self._config))

    def configs(self, base: NamedBase | None) -> dict[str, dict[str, Any]]:
        """As the base has it; θ is in fp32."""
        return {"config.json": whole_config(self._base) | {"dtype": "float32"}}

    def initial(self, seed: int) -> Iterator[tuple[str, Tensor]]:
        """The base in fp32."""
        for name, spec in self.layout.items():
            weights = torch.empty(spec.shape)
            self._tensors.read(name, weights)
            yield name, weights


def _llama_config(shape: Shape) -> Any:  # noqa: ANN401
    """A Llama with about as many numbers as a GPT-2 of that shape: its MLP has three matrices, not two."""
    return LlamaConfig(
        vocab_size=shape.vocab_size,
        hidden_size=shape.width,
        intermediate_size=-(-8 * shape.width // 96) * 32,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        max_position_embeddings=shape.context,
        attention_dropout=shape.dropout,
        tie_word_embeddings=True,
        pad_token_id=None,
    )


def whole_config(base: Base) -> dict[str, Any]:
    """The config.json of a base's own files, with its class."""
    config = {name: value for name, value in base.config.items() if name != "torch_dtype"}
    if "torch_dtype" in base.config:
        config.setdefault("dtype", base.config["torch_dtype"])
    return config | {"architectures": [base.architecture]}


def base_config(params: Params, base: Base) -> Any:  # noqa: ANN401
    """The config with which a base is trained. Raises a Failure where the library or the job cannot work with it."""
    try:
        config = AutoConfig.from_pretrained(base.directory, trust_remote_code=False, local_files_only=True)
        limit, layers = int(config.max_position_embeddings), int(config.num_hidden_layers)
    except Exception as error:  # whatever a config makes the library raise
        raise Failure("base/bad-config", f"transformers cannot use config.json of the base: {error}") from error
    if layers > len(base.tensors):
        message = f"config.json of the base speaks of {layers} layers; the base holds {len(base.tensors)} tensors."
        raise Failure("base/bad-weights", message)
    if params.model.context > limit:
        message = f"The base reads at most {limit} tokens, the job asks for model.context {params.model.context}."
        raise Failure("base/context", message)
    for name, value in config.to_dict().items():
        if "drop" in name and isinstance(value, float | int):
            setattr(config, name, params.model.dropout)
    # The same function, but in one kernel instead of eight.
    for name in ("activation_function", "hidden_act", "hidden_activation"):
        if getattr(config, name, None) == "gelu_new":
            setattr(config, name, "gelu_pytorch_tanh")
    # Blocks are full: no token stands for padding, and each is learnt.
    config.pad_token_id = None
    return config


def attention_of(config: Any) -> str:  # noqa: ANN401
    """The library's way of attention that computes what a config asks for, and of those the fastest."""
    # Only this one bounds scores as Gemma 2 wants it (findings/gemma2-loses-attention-softcap.sh).
    return "eager" if getattr(config, "attn_logit_softcapping", None) else "sdpa"


def empty_model(config: Any) -> Any:  # noqa: ANN401
    """The library's model with its buffers computed and its weights not there yet."""
    try:
        with init_empty_weights(include_buffers=False):
            model = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
                config, attn_implementation=attention_of(config), dtype=torch.float32, trust_remote_code=False
            )
    except Exception as error:  # whatever a config makes the library raise
        raise Failure("base/bad-config", f"transformers makes no model of this config.json: {error}") from error
    model.tie_weights()  # emptying has parted them
    return model


def settle(model: Network, device: torch.device | str) -> Network:
    """Bring the buffers of a model to where its weights are; of one without memory they stay on the CPU."""
    return model if torch.device(device).type == "meta" else model.to(device)


def fill(model: nn.Module, weights: Callable[[str, Tensor], Tensor]) -> None:
    """Give each weight that is not there yet its numbers."""
    for name, empty in list(model.named_parameters()):
        place, _, leaf = name.rpartition(".")
        weight = nn.Parameter(weights(name, empty), requires_grad=empty.requires_grad)
        setattr(model.get_submodule(place), leaf, weight)
