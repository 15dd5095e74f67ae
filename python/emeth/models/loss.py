"""The loss of a language model's head, without ever holding the scores of all tokens at once.

The scores of a chunk of tokens become its loss and at once the gradients, and are forgotten: memory is that of a chunk
instead of tokens × vocabulary, and nothing is computed twice. Targets that do not count never reach the head.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

# Scores held at once (16 MiB in fp32), but never fewer rows than a matrix product needs to be worth its reading; a head
# that is trained is read and written once more.
_CHUNK_SCORES = 2**22
_CHUNK_ROWS = 64


def mean_loss(  # noqa: PLR0913 - what a head is
    hidden_BTC: Tensor,
    targets_BT: Tensor,
    mask_BT: Tensor | None,
    weight_VC: Tensor,
    bias_V: Tensor | None = None,
    softcap: float | None = None,
) -> Tensor:
    """Mean nats per target that counts (`mask` 1, or no mask); 0 when none does."""
    hidden_NC, targets_N = hidden_BTC.flatten(0, -2), targets_BT.flatten()
    if mask_BT is not None:
        kept = mask_BT.flatten().nonzero().squeeze(1)
        hidden_NC, targets_N = hidden_NC.index_select(0, kept), targets_N.index_select(0, kept)
    loss: Tensor = _MeanLoss.apply(hidden_NC, weight_VC, bias_V, targets_N, softcap)  # type: ignore[no-untyped-call]
    return loss


class _MeanLoss(torch.autograd.Function):
    """Makes the gradients on the way forward, so that the scores need not be kept or made again."""

    @staticmethod
    def forward(  # noqa: PLR0913 - what a head is
        ctx: Any,  # noqa: ANN401 - PyTorch's context has no type
        hidden_NC: Tensor,
        weight_VC: Tensor,
        bias_V: Tensor | None,
        targets_N: Tensor,
        softcap: float | None,
    ) -> Tensor:
        needs_hidden, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        device = hidden_NC.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden_NC.dtype
        head, bias = weight_VC.to(dtype), None if bias_V is None else bias_V.to(dtype)
        grad_hidden = torch.empty_like(hidden_NC) if needs_hidden else None
        grad_weight = torch.zeros_like(weight_VC) if needs_weight else None
        grad_bias = torch.zeros_like(bias_V) if needs_bias and bias_V is not None else None
        loss = torch.zeros((), dtype=torch.float64, device=hidden_NC.device)
        rows = max(_CHUNK_ROWS * (2 if needs_weight else 1), _CHUNK_SCORES // len(head))
        with torch.autocast(device, enabled=False):
            for start in range(0, len(targets_N), rows):
                chunk = slice(start, start + rows)
                inputs, targets = hidden_NC[chunk].to(dtype), targets_N[chunk, None]
                scores = F.linear(inputs, head, bias).float()
                slope = _cap(scores, softcap)
                chances = torch.log_softmax(scores, dim=1)
                picked = chances.gather(1, targets)
                loss -= picked.sum(dtype=torch.float64)
                if grad_hidden is None and grad_weight is None:
                    continue
                grads = chances.exp_().scatter_(1, targets, picked.exp() - 1)
                if slope is not None:
                    grads.mul_(slope)
                grads = grads.to(dtype)
                if grad_hidden is not None:
                    grad_hidden[chunk] = grads @ head
                if grad_weight is not None:
                    _add_product(grad_weight, grads.t(), inputs)
                if grad_bias is not None:
                    grad_bias += grads.sum(dim=0)
        ctx.grads, ctx.count = (grad_hidden, grad_weight, grad_bias), max(1, len(targets_N))
        mean: Tensor = (loss / ctx.count).float()
        return mean

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        factor = grad / ctx.count
        scaled = [None if each is None else each.mul_(factor) for each in ctx.grads]
        ctx.grads = ()
        return *scaled, None, None


def _cap(scores: Tensor, softcap: float | None) -> Tensor | None:
    """Bound the scores as Gemma 2 does, in place; returns the slope that a gradient is to be multiplied by."""
    if softcap is None:
        return None
    bent = scores.div_(softcap).tanh_()
    slope = 1 - bent.square()
    scores.mul_(softcap)
    return slope


def _add_product(total: Tensor, a: Tensor, b: Tensor) -> None:
    if total.dtype == a.dtype:
        total.addmm_(a, b)
    else:
        total += a @ b
