"""The loss by chunks equals the one that PyTorch makes of all scores, and so do its gradients."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from emeth.models import loss as module
from emeth.models.loss import mean_loss

WIDTH, VOCABULARY = 16, 50


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Seven rows at a time, so that 36 targets take several chunks and the last is short."""
    monkeypatch.setattr(module, "_CHUNK_ROWS", 7)
    monkeypatch.setattr(module, "_CHUNK_SCORES", 1)
    yield


def inputs(mask_share: float) -> tuple[list[Tensor], Tensor, Tensor]:
    torch.manual_seed(3)
    made = [torch.randn(4, 9, WIDTH), torch.randn(VOCABULARY, WIDTH), torch.randn(VOCABULARY)]
    targets, mask = torch.randint(VOCABULARY, (4, 9)), (torch.rand(4, 9) < mask_share).to(torch.uint8)
    return [tensor.requires_grad_() for tensor in made], targets, mask


def plain_loss(made: list[Tensor], targets: Tensor, mask: Tensor, softcap: float | None) -> Tensor:
    scores = F.linear(*made).float()
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    losses = F.cross_entropy(scores.flatten(0, 1), targets.flatten(), reduction="none")
    return (losses * mask.flatten()).sum() / mask.sum()


@pytest.mark.parametrize("softcap", [None, 3.0])
@pytest.mark.parametrize("share", [0.3, 1.0])
@pytest.mark.parametrize("bf16", [False, True])
def test_loss_and_gradients_are_those_of_all_scores(softcap: float | None, share: float, bf16: bool) -> None:
    made, targets, mask = inputs(share)
    hidden, weight, bias = made
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        found = mean_loss(hidden, targets, None if share == 1 else mask, weight, bias, softcap)
        expected = plain_loss(made, targets, mask, softcap)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    for ours, theirs in zip(torch.autograd.grad(3 * found, made), torch.autograd.grad(3 * expected, made), strict=True):
        assert (ours - theirs).norm() < (1e-2 if bf16 else 1e-6) * theirs.norm()


def test_no_target_counts_gives_no_loss_and_no_gradient() -> None:
    made, targets, mask = inputs(0)
    hidden, weight, bias = made
    loss = mean_loss(hidden, targets, mask, weight, bias)
    assert loss.item() == 0
    assert not any(grad.any() for grad in torch.autograd.grad(loss, made))


def test_frozen_head_gets_no_gradient() -> None:
    (hidden, weight, bias), targets, mask = inputs(0.5)
    mean_loss(hidden, targets, mask, weight.detach(), bias.detach()).backward()
    assert hidden.grad is not None
    assert weight.grad is None


def test_scores_of_all_tokens_are_never_held() -> None:
    """No tensor of tokens × vocabulary is made on the way."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Sizes(TorchDispatchMode):
        largest = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN204
            out = func(*args, **(kwargs or {}))
            if isinstance(out, Tensor):
                self.largest = max(self.largest, out.numel())
            return out

    (hidden, weight, bias), targets, _ = inputs(1)
    with Sizes() as sizes:
        mean_loss(hidden, targets, None, weight, bias).backward()
    assert 7 * VOCABULARY <= sizes.largest < 36 * VOCABULARY // 2
