"""The inner optimiser: AdamW, or Muon for the hidden matrices with AdamW beside it for all else.

Muon (Keller Jordan, 2024; as inner optimiser of rounds: MuLoCo, 2505.23725) takes the momentum of a matrix's gradient
and moves the matrix in all directions of it by the same length: U·Vᵀ of its singular value decomposition, found by
Newton–Schulz iterations. Here these are in fp32 on every device (`torch.optim.Muon` computes them in bf16), so that
a lease done again comes out near enough to be compared, and matrices of equal shape go through them together.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from emeth.models.hidden import HiddenMatrix, hidden_matrices
from emeth.wire.params import InnerParams

# Odd polynomials a·x + b·x³ + c·x⁵, one after the other: singular values from a hundredth of the greatest on come
# within 0.27 of 1. Each is the best one for what the last has left (Polar Express, 2505.16932).
_POLYNOMIALS = (
    (8.0933685, -23.6204304, 17.4461518),
    (3.6365856, -2.7219267, 0.5365463),
    (2.6613000, -1.9771545, 0.4526164),
)
# Numbers that go through the iterations at once: what they need beside the model's memory stays small.
_BATCH_NUMBERS = 1 << 20


def make_optimiser(model: nn.Module, inner: InnerParams) -> "Optimiser":
    """What a job's parameters ask for, at their peak rates and with no memory of earlier steps."""
    return Optimiser(model, inner)


class Optimiser:
    """Takes steps with every weight of a model that is trained. Its rate is AdamW's; Muon's keeps its ratio to it."""

    def __init__(self, model: nn.Module, inner: InnerParams) -> None:
        hidden = hidden_matrices(model) if inner.optimiser == "muon" else []
        self._muon = _make_muon(hidden, inner)
        self._adamw = _make_adamw(model, {matrix.weight for matrix in hidden}, inner)
        self._ratio = inner.muon_lr / inner.lr
        self.set_rate(inner.lr)

    def set_rate(self, rate: float) -> None:
        """Make this the rate of the next steps."""
        for group in self._adamw.param_groups:
            group["lr"] = rate
        self._muon.rate = rate * self._ratio

    def step(self) -> None:
        """Move the weights along their gradients."""
        self._adamw.step()
        self._muon.step()


def _make_muon(hidden: list[HiddenMatrix], inner: InnerParams) -> "Muon":
    # Only a weight that processes share says how. What it takes to share takes long to import.
    if hidden and hasattr(hidden[0].weight, "placements"):
        from emeth.rounds.shared_muon import SharedMuon

        return SharedMuon(hidden, inner.muon_momentum, inner.weight_decay)
    return Muon(hidden, inner.muon_momentum, inner.weight_decay)


def _make_adamw(model: nn.Module, others: set[nn.Parameter], inner: InnerParams) -> torch.optim.AdamW:
    """AdamW that decays matrices and leaves biases and norms alone."""
    parameters = [p for p in model.parameters() if p.requires_grad and p not in others]
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": inner.weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=inner.lr, betas=(inner.beta1, inner.beta2), fused=True)


class Muon:
    """Nesterov momentum, made orthogonal, with decoupled weight decay.

    A step is scaled by √(outputs ÷ inputs) where there are more outputs than inputs: what one step changes of a
    layer's result is then about the same for every shape, and a rate that is good for a model is good for a wider one.
    """

    def __init__(self, matrices: Sequence[HiddenMatrix], momentum: float, weight_decay: float) -> None:
        self._batches = [_Batch(batch) for batch in _batches(matrices)]
        self._momentum, self._weight_decay = momentum, weight_decay
        self.rate = 0.0

    @torch.no_grad()
    def step(self) -> None:
        """Move the matrices along their gradients; as with AdamW, those without one stay."""
        for batch in self._batches:
            if batch.has_gradients():
                update = orthogonal(batch.momentum_of(self._momentum))
                batch.add(update, 1 - self.rate * self._weight_decay, -self.rate)


class _Batch:
    """Matrices of one shape; among the update's tensors each lies with its shorter side first."""

    def __init__(self, matrices: Sequence[HiddenMatrix]) -> None:
        self._matrices = matrices
        outputs, inputs = matrices[0].outputs, matrices[0].inputs
        self._is_tall = outputs > inputs
        self._scale = max(1.0, outputs / inputs) ** 0.5
        self._momentum = torch.zeros_like(self._stack(matrix.weight for matrix in matrices))

    def has_gradients(self) -> bool:
        """Whether a loss has been computed since the last step."""
        return all(matrix.weight.grad is not None for matrix in self._matrices)

    def momentum_of(self, factor: float) -> Tensor:
        """Take the gradients into the momentum; returns what Nesterov makes of both."""
        gradients = self._stack(matrix.weight.grad for matrix in self._matrices)
        self._momentum.mul_(factor).add_(gradients)
        return gradients.add_(self._momentum, alpha=factor)

    def add(self, update: Tensor, keep: float, rate: float) -> None:
        """Shrink the weights to a part of themselves, and add the update at a rate."""
        for matrix, values in zip(self._matrices, update, strict=True):
            weight = matrix.of(matrix.weight)
            weight.mul_(keep).add_(values.t() if self._is_tall else values, alpha=rate * self._scale)

    def _stack(self, tensors: Iterable[Tensor | None]) -> Tensor:
        parts = []
        for matrix, tensor in zip(self._matrices, tensors, strict=True):
            assert tensor is not None  # noqa: S101 - see has_gradients
            part = matrix.of(tensor)
            parts.append(part.t() if self._is_tall else part)
        return torch.stack(parts)


def _batches(matrices: Sequence[HiddenMatrix]) -> list[list[HiddenMatrix]]:
    """The matrices by shape, and of each shape not too many at once."""
    by_shape: dict[tuple[int, int], list[HiddenMatrix]] = defaultdict(list)
    for matrix in matrices:
        by_shape[matrix.outputs, matrix.inputs].append(matrix)
    result = []
    for (outputs, inputs), alike in by_shape.items():
        size = max(1, _BATCH_NUMBERS // (outputs * inputs))
        result += [alike[at : at + size] for at in range(0, len(alike), size)]
    return result


def orthogonal(stack: Tensor) -> Tensor:
    """The matrices of a stack, none higher than wide, with their singular values brought near 1.

    They begin divided by the eighth root of the sum of their singular values' eighth powers, which is little more than
    the greatest one: dividing by the root of the sum of squares, as is usual, costs one or two iterations more.
    """
    x = stack / stack.norm(dim=(1, 2), keepdim=True).clamp_min(1e-30)
    gram = torch.bmm(x, x.mT)
    square = torch.bmm(gram, gram)
    bound = square.norm(dim=(1, 2), keepdim=True).clamp_min(1e-12).pow(0.25)
    x, gram, square = x.div_(bound), gram.div_(bound**2), square.div_(bound**4)
    height, width = x.shape[1:]
    return _of_wide(x, gram, square) if 2 * width > 3 * height else _of_square(x, gram, square)


def _of_square(x: Tensor, gram: Tensor, square: Tensor) -> Tensor:
    """The iterations; x·xᵀ and its square are known for the first."""
    for place, (a, b, c) in enumerate(_POLYNOMIALS):
        if place > 0:
            gram = torch.bmm(x, x.mT)
            square = torch.bmm(gram, gram)
        x = torch.baddbmm(x, gram.mul_(b).add_(square, alpha=c), x, beta=a)
    return x


def _of_wide(x: Tensor, gram: Tensor, square: Tensor) -> Tensor:
    """The same for fewer products with the wide x: x·xᵀ is taken through the iterations alone, and x in the end."""
    factor: Tensor | None = None
    for place, (a, b, c) in enumerate(_POLYNOMIALS):
        if place > 0:
            square = torch.bmm(gram, gram)
        polynomial = square.mul_(c).add_(gram, alpha=b)
        polynomial.diagonal(dim1=1, dim2=2).add_(a)
        factor = polynomial if factor is None else torch.bmm(polynomial, factor)
        if place + 1 < len(_POLYNOMIALS):
            gram = torch.bmm(torch.bmm(polynomial, gram), polynomial)
    assert factor is not None  # noqa: S101 - there are polynomials
    return torch.bmm(factor, x)
