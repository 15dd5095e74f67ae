"""Muon: orthogonal steps of hidden matrices whatever their storage, AdamW for all else, the same bits again."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from emeth.models.gpt2 import Linear, build, initial_tensors
from emeth.models.hidden import hidden_matrices
from emeth.rounds import optimiser
from emeth.rounds.optimiser import make_optimiser, orthogonal
from emeth.wire.params import InnerParams
from emeth.wire.parse import parse
from tests.child import make_params
from tests.conftest import Job

INNER = parse(InnerParams, make_params(inner={"optimiser": "muon", "muonLr": 0.02, "weightDecay": 0})["inner"])


def matrix_with(values: Tensor, rows: int, columns: int) -> Tensor:
    """A random matrix of such singular values."""
    left, _ = torch.linalg.qr(torch.randn(rows, rows))
    right, _ = torch.linalg.qr(torch.randn(columns, columns))
    return left[:, : len(values)] * values @ right[: len(values)]


def model_of(job: Job) -> nn.Module:
    model = build(job.shape)
    model.load_state_dict(dict(initial_tensors(job.shape, 1)))
    return model


def steps(model: nn.Module, inner: InnerParams, count: int = 3, rate: float | None = None) -> dict[str, Tensor]:
    """How far a few steps along gradients that are drawn move each weight."""
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    generator = torch.Generator().manual_seed(3)
    made = make_optimiser(model, inner)
    if rate is not None:
        made.set_rate(rate)
    for _ in range(count):
        for _, weight in sorted(model.named_parameters()):
            weight.grad = torch.randn(weight.shape, generator=generator)
        made.step()
    return {name: weight.detach() - before[name] for name, weight in model.named_parameters()}


@pytest.mark.parametrize("shape", [(32, 32), (32, 128), (128, 128), (1, 7)])
@pytest.mark.parametrize("size", [1e-6, 1, 1e6])
def test_singular_values_become_about_1(shape: tuple[int, int], size: float) -> None:
    torch.manual_seed(0)
    spectra = [torch.logspace(0, -1.8, shape[0]), torch.ones(shape[0])]
    stack = torch.stack([matrix_with(values, *shape) * size for values in spectra])
    for before, after in zip(stack, orthogonal(stack), strict=True):
        left, _, right = torch.linalg.svd(before, full_matrices=False)
        inside = left.t() @ after @ right.t()
        assert inside.diag().min() > 0.6
        assert inside.diag().max() < 1.4
        assert (inside - inside.diag().diag()).abs().max() < 1e-2, "directions stay as they are"


def test_gradient_of_zeros_is_no_step(job: Job) -> None:
    assert not orthogonal(torch.zeros(2, 8, 8)).any()


def test_hidden_matrices_go_to_muon_and_all_else_to_adamw(job: Job) -> None:
    moved = steps(model_of(job), INNER)
    by_adamw = steps(model_of(job), replace(INNER, optimiser="adamw"))
    hidden = {name for name in moved if ".h." in name and name.endswith("weight") and ".ln_" not in name}
    assert len(hidden) == 8
    for name, change in moved.items():
        assert torch.equal(change, by_adamw[name]) == (name not in hidden), name


def test_a_step_is_orthogonal_and_longer_where_outputs_are_more_than_inputs(job: Job) -> None:
    model = model_of(job)
    moved = {id(model.get_parameter(name)): change for name, change in steps(model, INNER, 1).items()}
    for matrix in hidden_matrices(model):
        change = matrix.of(moved[id(matrix.weight)])
        values = torch.linalg.svdvals(change) / (0.02 * max(1, change.shape[0] / change.shape[1]) ** 0.5)
        assert 0.6 < values.median() < values.max() < 1.4


def test_a_step_is_as_long_as_the_gate_takes_it_for(job: Job) -> None:
    # `stepSquare` of src/master/update-gate.ts: what is shorter than a tenth of it is refused.
    moved = steps(model_of(job), INNER, 1)
    square = sum(float((change**2).sum()) for name, change in moved.items() if ".h." in name and change.dim() == 2)
    assert square == pytest.approx(0.02**2 * 9 * job.shape.layers * job.shape.width, rel=0.3)


def test_fused_and_transposed_matrices_move_as_separate_ones(job: Job) -> None:
    class Fused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c_attn = Linear(32, 96)

    class Separate(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.ModuleList(nn.Linear(32, 32) for _ in range(3))

    fused = nn.Module()
    fused.h = nn.ModuleList([Fused()])
    separate = nn.Module()
    separate.h = nn.ModuleList([Separate()])
    weight, parts = fused.h[0].c_attn.weight, [part.weight for part in separate.h[0].parts]
    gradients = torch.randn(4, 32, 96)
    with torch.no_grad():
        weight.copy_(torch.randn(32, 96))
        for part, values in zip(parts, weight.t().chunk(3), strict=True):
            part.copy_(values)
    inner = replace(INNER, weight_decay=0.5)
    first, second = make_optimiser(fused, inner), make_optimiser(separate, inner)
    for gradient in gradients:
        weight.grad = gradient.clone()
        for part, values in zip(parts, gradient.t().chunk(3), strict=True):
            part.grad = values.clone()
        first.step()
        second.step()
    assert torch.equal(weight.t(), torch.cat(parts))


def test_batches_of_matrices_move_as_single_ones(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    together = steps(model_of(job), INNER)
    monkeypatch.setattr(optimiser, "_BATCH_NUMBERS", 1)
    single = steps(model_of(job), INNER)
    for name, change in together.items():
        assert torch.allclose(change, single[name], rtol=1e-4, atol=1e-7), name


@pytest.mark.parametrize(("outputs", "inputs"), [(8, 8), (24, 8), (8, 24)])
def test_a_step_goes_against_nesterovs_momentum(job: Job, outputs: int, inputs: int) -> None:
    torch.manual_seed(0)
    layer = nn.Module()
    layer.h = nn.ModuleList([nn.ModuleList([nn.Linear(inputs, outputs, bias=False)])])
    (matrix,) = hidden_matrices(layer)
    made = make_optimiser(layer, replace(INNER, muon_momentum=0.9))
    first, second = torch.randn(2, outputs, inputs)
    matrix.weight.grad = first.clone()
    made.step()
    before = matrix.weight.detach().clone()
    matrix.weight.grad = second.clone()
    made.step()
    left, _, right = torch.linalg.svd(second + 0.9 * (second + 0.9 * first), full_matrices=False)
    inside = left.t() @ (before - matrix.weight) @ right.t() / (0.02 * max(1, outputs / inputs) ** 0.5)
    assert 0.6 < inside.diag().min() < inside.diag().max() < 1.4
    assert (inside - inside.diag().diag()).abs().max() < 1e-2


def test_weights_without_a_gradient_stay(job: Job) -> None:
    model = model_of(job)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    make_optimiser(model, replace(INNER, weight_decay=0.5)).step()
    assert all(torch.equal(weight, before[name]) for name, weight in model.named_parameters())


def test_rate_and_decay(job: Job) -> None:
    whole, half = steps(model_of(job), INNER, 1), steps(model_of(job), INNER, 1, rate=INNER.lr / 2)
    for name, change in whole.items():
        assert torch.allclose(change, 2 * half[name], rtol=1e-3, atol=1e-6), name
    decayed = steps(model_of(job), replace(INNER, weight_decay=0.5), 1)
    weights = dict(model_of(job).named_parameters())
    for name in ("transformer.h.0.attn.c_attn.weight", "transformer.h.1.mlp.c_fc.weight"):
        assert torch.allclose(decayed[name] - whole[name], -0.02 * 0.5 * weights[name], atol=1e-6)
