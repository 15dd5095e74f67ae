"""Which matrices of a model are hidden: all that its blocks multiply by, each by itself, and nothing else."""

import pytest
import torch
from torch import Tensor, nn

from emeth.models.hidden import HiddenMatrix, hidden_matrices
from emeth.models.program import Program, open_program
from emeth.wire.params import Params
from emeth.wire.parse import parse
from tests.bases import KINDS, VOCABULARY, make_base
from tests.child import base_params, make_params

# Layers of a block, and the outputs of each of the matrices in them.
ATTENTION = {"q_proj": [32], "k_proj": [16], "v_proj": [16], "o_proj": [32]}
WIDE = {"q_proj": [64], "k_proj": [32], "v_proj": [32], "o_proj": [32]}
GATED = {"gate_proj": [48], "up_proj": [48], "down_proj": [32]}
GPT2 = {"attn.c_attn": [32, 32, 32], "attn.c_proj": [32], "mlp.c_fc": [128], "mlp.c_proj": [32]}
PHI = {"q_proj": [32], "k_proj": [16], "v_proj": [16], "dense": [32], "fc1": [48], "fc2": [32]}
PHI3 = {"qkv_proj": [32, 16, 16], "o_proj": [32], "gate_up_proj": [48, 48], "down_proj": [32]}
SPECIAL = {"gpt2": GPT2, "gpt2-old": GPT2, "phi": PHI, "phi3": PHI3} | dict.fromkeys(
    ("qwen3", "gemma", "gemma2", "gemma3"), WIDE | GATED
)


def filled(program: Program) -> nn.Module:
    """The model with θ_0 in it."""
    model = program.build("cpu")
    with torch.no_grad():
        for name, weights in program.initial(1):
            model.get_parameter(name).copy_(weights)
    return model


@pytest.fixture(scope="module", params=["gpt2 from scratch", "llama from scratch", *KINDS])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, nn.Module]:
    kind, _, scratch = request.param.partition(" ")
    if scratch:
        params, base = make_params(model={"family": kind}), None
    else:
        params, base = base_params(), str(make_base(kind, tmp_path_factory.mktemp("base") / "base"))
    return request.param, filled(open_program(parse(Params, params), VOCABULARY, base))


def by_layer(model: nn.Module) -> dict[str, list[HiddenMatrix]]:
    """The matrices by the layer whose weight they are in."""
    names = {id(weight): name.removesuffix(".weight") for name, weight in model.named_parameters()}
    found: dict[str, list[HiddenMatrix]] = {}
    for matrix in hidden_matrices(model):
        found.setdefault(names[id(matrix.weight)], []).append(matrix)
    return found


def test_all_matrices_of_the_blocks_and_nothing_else(model: tuple[str, nn.Module]) -> None:
    kind, network = model
    if kind == "gpt2 from scratch":
        block = GPT2
    elif kind == "llama from scratch":
        block = {name: [32] for name in ("q_proj", "k_proj", "v_proj", "o_proj", "down_proj")}
        block |= {"gate_proj": [96], "up_proj": [96]}
    else:
        block = SPECIAL.get(kind, ATTENTION | GATED)
    found = by_layer(network)
    assert len(found) == 2 * len(block), sorted(found)
    for name, matrices in found.items():
        layer = next(layer for layer in block if f".{name}".endswith(f".{layer}"))
        assert [matrix.end - matrix.start for matrix in matrices] == block[layer], name


def test_matrices_are_what_the_layers_multiply_by(model: tuple[str, nn.Module]) -> None:
    _, network = model
    found, seen = by_layer(network), set()

    def watch(name: str) -> None:
        def check(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
            whole = torch.cat([matrix.of(matrix.weight) for matrix in found[name]])
            assert torch.allclose(
                inputs[0] @ whole.t() + (layer.bias if layer.bias is not None else 0), output, atol=1e-4
            )
            seen.add(name)

        network.get_submodule(name).register_forward_hook(check)

    for name in found:
        watch(name)
    with torch.no_grad():
        network(torch.arange(16)[None], torch.arange(16)[None])
    assert seen == set(found)
