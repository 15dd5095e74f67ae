"""An adapter on a base that stays as it is: θ holds the adapter alone, under the names of a peft file.

The layers are peft's. As the names agree, a θ file is the `adapter_model.safetensors` of the result.
"""

import shutil
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from emeth.files.codec import raw, read_theta, theta_layout
from emeth.files.tensors import TensorReader, TensorWriter
from emeth.models.base import Base
from emeth.models.base_tensors import BaseTensors
from emeth.models.bell import bell
from emeth.models.frozen import freeze
from emeth.models.hf import Causal, Transformers, base_config, empty_model, fill, settle, whole_config
from emeth.models.network import Network
from emeth.wire.commands import NamedBase
from emeth.wire.events import Failure
from emeth.wire.params import LoraParams, Params

_PREFIX = "base_model.model."


class Adapted(Causal):
    """A causal model of which only the adapter is trained; its weights have the names of a peft file."""

    def named_parameters(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, nn.Parameter]]:  # noqa: ANN401
        for name, weight in super().named_parameters(*args, **kwargs):
            yield (_file_name(name) if weight.requires_grad else name), weight


class LoraProgram(Transformers):
    """Trains two thin matrices beside each target layer; B begins at zero, so that θ_0 changes nothing."""

    def __init__(self, params: Params, lora: LoraParams, base: Base) -> None:
        super().__init__(params, base_config(params, base))
        model = empty_model(self._config)
        self._base = base
        self._lora, self._targets = lora, _targets(model, lora)
        self._tensors = BaseTensors(base, model)
        self._transposed = any(isinstance(module, Conv1D) for module in model.modules())
        self._base_names = list(self.layout)
        weights = [(name, weight) for name, weight in self._empty().named_parameters() if weight.requires_grad]
        self.layout = theta_layout({_file_name(name): tuple(weight.shape) for name, weight in weights})
        self.num_parameters += sum(spec.count for spec in self.layout.values())

    def initial(self, seed: int) -> Iterator[tuple[str, Tensor]]:
        """A has the spread that peft gives it, from integer arithmetic alone."""
        for index, (name, spec) in enumerate(self.layout.items()):
            drawn = name.endswith(".lora_A.weight")
            yield name, bell(spec.shape, (3 * spec.shape[1]) ** -0.5, seed, index) if drawn else torch.zeros(spec.shape)

    def build(self, device: torch.device | str) -> Network:
        """The base as it is stored, and an adapter with its memory allocated."""

        def weights(name: str, empty: Tensor) -> Tensor:
            if empty.requires_grad:
                return torch.empty(empty.shape, device=device)
            if torch.device(device).type == "meta":
                return _as_held(self._tensors.empty(_base_name(name), device))
            return self._held(name).to(device)

        model = self._empty()
        fill(model, weights)
        freeze(model)
        return settle(Adapted(self._finish(model), self.context), device)

    def frozen(self) -> Iterator[tuple[str, Tensor]]:
        """The base as it is stored."""
        for name, weight in self._empty().named_parameters():
            if not weight.requires_grad:
                yield name, self._held(name)

    def write_weights(self, theta: str, directory: Path) -> list[str]:
        """θ is the file that peft reads; with `merge` the merged model lies beside it."""
        TensorReader(theta, self.layout).close()
        shutil.copyfile(theta, directory / "adapter_model.safetensors")
        if not self._lora.merge:
            return ["adapter_model.safetensors"]
        self._merge(theta, str(directory / "model.safetensors"))
        return ["adapter_model.safetensors", "model.safetensors"]

    def configs(self, base: NamedBase | None) -> dict[str, dict[str, Any]]:
        """What peft reads; with `merge` also what the merged model is."""
        config = {name: _plain(value) for name, value in self._peft_config().to_dict().items()}
        config |= {"target_modules": self._targets, "inference_mode": True}
        if base is not None:
            config |= {"base_model_name_or_path": base.name, "revision": base.revision}
        whole = {"config.json": whole_config(self._base)} if self._lora.merge else {}
        return {"adapter_config.json": config, **whole}

    def _merge(self, theta_path: str, path: str) -> None:
        """Write the base with the adapter added, in the base's own dtypes; the same bits on every machine."""
        theta = read_theta(theta_path, self.layout)
        specs = {name: self._tensors.spec(name) for name in self._base_names}
        with TensorWriter(path, specs) as writer:
            for name in specs:
                layer = _PREFIX + name.removesuffix(".weight")
                a, b = theta.get(f"{layer}.lora_A.weight"), theta.get(f"{layer}.lora_B.weight")
                weights = self._tensors.stored(name)
                writer.write(raw(weights if a is None or b is None else self._merged(weights, a, b)))

    def _merged(self, weights: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """W + alpha ÷ r · B·A, one column of B after the other: nothing is left to a library's order of summing."""
        delta = torch.zeros(len(b), a.shape[1])
        for column, row in zip(b.t(), a, strict=True):
            delta.add_(torch.outer(column, row))
        delta.mul_(self._lora.alpha / self._lora.r)
        return (weights.float() + (delta.t() if self._transposed else delta)).to(weights.dtype)

    def _held(self, name: str) -> Tensor:
        return _as_held(self._tensors.stored(_base_name(name)))

    def _empty(self) -> Any:  # noqa: ANN401
        return inject_adapter_in_model(self._peft_config(), empty_model(self._config), low_cpu_mem_usage=True)

    def _peft_config(self) -> Any:  # noqa: ANN401
        return LoraConfig(
            task_type="CAUSAL_LM",
            r=self._lora.r,
            lora_alpha=self._lora.alpha,  # type: ignore[arg-type]
            lora_dropout=self._lora.dropout,
            target_modules=self._targets,
            fan_in_fan_out=self._transposed,
        )


def _base_name(name: str) -> str:
    """What a parameter is called without an adapter beside it."""
    return name.replace(".base_layer.", ".")


def _as_held(stored: Tensor) -> Tensor:
    """Biases and norms are small, and their layers want them in the dtype of what passes through."""
    return stored if stored.dim() > 1 else stored.float()


def _plain(value: object) -> object:
    """As JSON has it, in one order."""
    if isinstance(value, set):
        return sorted(value)
    return value.value if isinstance(value, Enum) else value


def _file_name(name: str) -> str:
    """A weight's name in a peft file, which leaves out the name of the adapter."""
    return _PREFIX + name.replace(".default.weight", ".weight")


def _targets(model: nn.Module, lora: LoraParams) -> list[str]:
    """The layers that get an adapter, by the ends of their names. Raises a Failure when the job names none of them."""
    layers = [name for name, module in model.named_modules() if isinstance(module, nn.Linear | Conv1D)]
    layers.remove("lm_head")
    if lora.targets != "auto":
        for target in lora.targets:
            if not any(f".{name}".endswith(f".{target}") for name in layers):
                known = ", ".join(sorted({_leaf(name) for name in layers}))
                raise Failure("base/targets", f"No layer of the base is called {target}; there are {known}.")
        return sorted(lora.targets)
    attention = {name for name in layers if name.split(".")[-2] in {"attn", "self_attn"}}
    others = {_leaf(name) for name in layers if name not in attention}
    # GPT-2 has two layers that are called c_proj.
    return sorted({".".join(name.split(".")[-2:]) if _leaf(name) in others else _leaf(name) for name in attention})


def _leaf(name: str) -> str:
    return name.rpartition(".")[2]
