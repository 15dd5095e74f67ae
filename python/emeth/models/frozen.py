"""Weights that are not trained stay as they are stored, in 16 bits where a base has them so.

They are converted to the dtype of the computation where they are used, and forgotten: neither the converted numbers nor
a second copy waits for the way back.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from transformers.pytorch_utils import Conv1D


class _Project(torch.autograd.Function):
    """A linear layer whose weight gets no gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_OI: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(weight_OI)
        ctx.dtype = x.dtype
        with torch.autocast(x.device.type, enabled=False):
            return F.linear(x.to(dtype), weight_OI.to(dtype), None if bias is None else bias.to(dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        (weight_OI,) = ctx.saved_tensors
        return (grad @ weight_OI.to(grad.dtype)).to(ctx.dtype), None, None, None


def freeze(model: nn.Module) -> None:
    """Let all layers that are not trained compute with weights of any dtype."""
    for module in model.modules():
        if isinstance(module, nn.Linear | Conv1D) and not module.weight.requires_grad:
            module.forward = partial(_project, module, isinstance(module, Conv1D))  # type: ignore[method-assign]
        elif isinstance(module, nn.Embedding):
            module.register_forward_hook(_to_fp32)


def _project(layer: Any, transposed: bool, x: Tensor) -> Tensor:  # noqa: ANN401
    device = x.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
    weight = layer.weight.t() if transposed else layer.weight
    out: Tensor = _Project.apply(x, weight, layer.bias, dtype)  # type: ignore[no-untyped-call]
    return out


def _to_fp32(_module: nn.Module, _inputs: object, out: Tensor) -> Tensor:
    return out.float()
