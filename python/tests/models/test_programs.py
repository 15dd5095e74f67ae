"""Every kind of base, in full and by an adapter: transformers and peft agree with what is trained and exported."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from emeth.files.codec import raw
from emeth.files.tensors import sha256_of, write_tensors
from emeth.models.program import Program, load_model, open_program
from emeth.wire.commands import NamedBase
from emeth.wire.events import Failure
from emeth.wire.params import Params
from emeth.wire.parse import parse
from tests.bases import KINDS, VOCABULARY, change_config, make_base
from tests.child import base_params, make_params

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Any:  # noqa: ANN401
    """Makes each kind of base once."""
    made: dict[tuple[str, str], Path] = {}

    def base(kind: str, dtype: str = "float32") -> Path:
        if (kind, dtype) not in made:
            made[kind, dtype] = make_base(kind, tmp_path_factory.mktemp(kind), dtype)
        return made[kind, dtype]

    return base


def program_of(base: Path, vocab_size: int = VOCABULARY, **changes: object) -> Program:
    return open_program(parse(Params, base_params(**changes)), vocab_size, str(base))


def write_initial(program: Program, path: Path, spread: float = 0.0) -> str:
    """θ_0, or one near it."""
    torch.manual_seed(1)
    tensors = [tensor + spread * torch.randn_like(tensor) for _, tensor in program.initial(5)]
    return write_tensors(str(path), program.layout, (raw(tensor) for tensor in tensors)).path


def tokens() -> Tensor:
    return torch.randint(VOCABULARY, (3, 17), generator=torch.Generator().manual_seed(0))


def library_model(directory: Path) -> Any:  # noqa: ANN401
    from transformers import AutoModelForCausalLM

    attention = {"attn_implementation": "eager"} if "gemma2" in (directory / "config.json").read_text() else {}
    return AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, **attention).eval()


def require_same(model: Any, theirs: Any, atol: float = 2e-5) -> None:  # noqa: ANN401
    ids = tokens()
    with torch.inference_mode():
        expected = theirs(ids[:, :-1]).logits
        assert expected.std() > 0.2, "a model that says the same of every token shows nothing"
        assert torch.allclose(model.logits(ids[:, :-1]), expected, atol=atol)
        loss = torch.nn.functional.cross_entropy(expected.flatten(0, 1), ids[:, 1:].flatten())
        assert model(ids[:, :-1], ids[:, 1:]).item() == pytest.approx(loss.item(), abs=atol)


@pytest.mark.parametrize("kind", KINDS)
def test_full_tune_starts_from_the_base_and_exports_it(kind: str, bases: Any, tmp_path: Path) -> None:  # noqa: ANN401
    base = bases(kind, "bfloat16" if kind == "qwen2" else "float16" if kind == "phi" else "float32")
    program = program_of(base)
    require_same(load_model(program, write_initial(program, tmp_path / "theta0"), "cpu"), library_model(base))

    theta = write_initial(program, tmp_path / "theta", spread=0.1)
    assert program.write_weights(theta, tmp_path) == [WEIGHTS]
    assert sha256_of(str(tmp_path / WEIGHTS)) == sha256_of(theta)
    shutil.copy(base / "config.json", tmp_path)
    require_same(load_model(program, theta, "cpu"), library_model(tmp_path))


@pytest.mark.parametrize("kind", KINDS)
def test_adapter_is_what_peft_makes_of_it(kind: str, bases: Any, tmp_path: Path) -> None:  # noqa: ANN401
    from peft import PeftModel

    from emeth.models.lora import LoraProgram

    base = bases(kind)
    program = program_of(base, tune="lora", lora={"r": 4, "merge": True})
    assert isinstance(program, LoraProgram)
    require_same(load_model(program, write_initial(program, tmp_path / "theta0"), "cpu"), library_model(base))

    theta = write_initial(program, tmp_path / "theta", spread=0.1)
    assert program.write_weights(theta, tmp_path) == ["adapter_model.safetensors", WEIGHTS]
    assert sha256_of(str(tmp_path / "adapter_model.safetensors")) == sha256_of(theta)
    trained = load_model(program, theta, "cpu")
    assert not torch.allclose(
        trained.logits(tokens()), load_model(program, tmp_path / "theta0", "cpu").logits(tokens())
    )
    merged = tmp_path / "merged"
    merged.mkdir()
    shutil.move(tmp_path / WEIGHTS, merged)
    shutil.copy(base / "config.json", merged)
    require_same(trained, library_model(merged))
    (tmp_path / "adapter_config.json").write_text(
        json.dumps(program.configs(NamedBase(name=str(base)))["adapter_config.json"])
    )
    require_same(trained, PeftModel.from_pretrained(library_model(base), tmp_path).eval())


def test_base_whose_head_is_stored_instead_of_its_embedding_is_taken(bases: Any, tmp_path: Path) -> None:  # noqa: ANN401
    base = shutil.copytree(bases("llama-tied"), tmp_path / "base")
    tensors = load_file(base / WEIGHTS)
    tensors["lm_head.weight"] = tensors.pop("model.embed_tokens.weight")
    save_file(tensors, base / WEIGHTS, {"format": "pt"})
    program = program_of(base)
    require_same(load_model(program, write_initial(program, tmp_path / "theta"), "cpu"), library_model(base))


def test_sharded_base_is_read_from_all_its_files(bases: Any, tmp_path: Path) -> None:  # noqa: ANN401
    base = make_base("llama", tmp_path / "base", max_shard_size="20KB")
    assert len(list(base.glob("model-*.safetensors"))) > 2
    programs = [program_of(base), program_of(bases("llama"))]
    sums = [sha256_of(write_initial(program, tmp_path / "theta")) for program in programs]
    assert sums[0] == sums[1]


def test_dropout_of_a_base_is_the_jobs(bases: Any, tmp_path: Path) -> None:  # noqa: ANN401
    base = shutil.copytree(bases("gpt2"), tmp_path / "base")
    change_config(base, attn_pdrop=0.3, resid_pdrop=0.3, embd_pdrop=0.3)
    for dropout in (0.0, 0.4):
        program = program_of(base, model={"dropout": dropout})
        model = load_model(program, write_initial(program, tmp_path / "theta"), "cpu").train()
        ids = tokens()
        with torch.no_grad():
            losses = {model(ids[:, :-1], ids[:, 1:]).item() for _ in range(3)}
        assert (len(losses) == 1) == (dropout == 0)


def spoil(base: Path, name: str, change: Callable[[Tensor], Tensor | None]) -> None:
    """Change a tensor of the only file, or take it out."""
    tensors = load_file(base / WEIGHTS)
    changed = change(tensors.pop(name, torch.zeros(2, 2)))
    save_file(tensors if changed is None else tensors | {name: changed}, base / WEIGHTS)


def with_nan(tensor: Tensor) -> Tensor:
    tensor.view(-1)[-1] = torch.nan
    return tensor


NORM, EMBEDDING = "model.norm.weight", "model.embed_tokens.weight"
UNFIT: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "tensor missing": (
        "base/bad-weights",
        lambda base: spoil(base, NORM, lambda _: None),
        "lacks the tensor model.norm",
    ),
    "tensor of another model": (
        "base/bad-weights",
        lambda base: spoil(base, "model.layers.0.mlp.experts", lambda tensor: tensor),
        "holds 'model.layers.0.mlp.experts', which no LlamaForCausalLM has",
    ),
    "tensor of another shape": (
        "base/bad-weights",
        lambda base: spoil(base, NORM, lambda tensor: tensor[:-1]),
        r"model.norm.weight of the base has shape \[31\]; its config.json asks for \[32\]",
    ),
    "tensor of integers": (
        "base/quantised",
        lambda base: spoil(base, EMBEDDING, lambda tensor: tensor.to(torch.int8)),
        "embed_tokens.weight of the base is stored as I8",
    ),
    "numbers that are not finite": (
        "base/not-finite",
        lambda base: spoil(base, EMBEDDING, with_nan),
        "embed_tokens.weight of the base holds numbers that are not finite",
    ),
    "head that is not the embedding": (
        "base/bad-weights",
        lambda base: spoil(base, "lm_head.weight", lambda _: torch.zeros(VOCABULARY, 32)),
        "says that model.embed_tokens.weight and lm_head.weight are the same; they differ",
    ),
    "config that transformers refuses": (
        "base/bad-config",
        lambda base: change_config(base, hidden_size="wide"),
        "transformers cannot use config.json",
    ),
    "config that makes no model": (
        "base/bad-config",
        lambda base: change_config(base, hidden_act="none-such"),
        "transformers makes no model of this config.json",
    ),
    "more layers than tensors": (
        "base/bad-weights",
        lambda base: change_config(base, num_hidden_layers=10**9),
        "speaks of 1000000000 layers; the base holds 20 tensors",
    ),
}


@pytest.mark.parametrize("tune", ["full", "lora"])
@pytest.mark.parametrize("case", UNFIT)
def test_base_that_does_not_fit_is_refused(case: str, tune: str, bases: Any, tmp_path: Path) -> None:  # noqa: ANN401
    code, change, reason = UNFIT[case]
    base = shutil.copytree(bases("llama-tied"), tmp_path / "base")
    change(base)
    with pytest.raises(Failure, match=reason) as failure:
        # What lies in the tensors shows where they are read: θ_0 of a full tune, the model of an adapter.
        program = program_of(base, tune=tune)
        list(program.initial(0)) if tune == "full" else program.build("cpu")
    assert failure.value.code == code


def test_tokenizer_with_more_ids_than_the_embedding_has_rows_is_refused(bases: Any) -> None:  # noqa: ANN401
    with pytest.raises(Failure, match="has 261 ids; its embedding has 260 rows") as failure:
        program_of(bases("llama"), vocab_size=VOCABULARY + 1)
    assert failure.value.code == "base/vocabulary"


def test_context_beyond_the_base_is_refused(bases: Any) -> None:  # noqa: ANN401
    with pytest.raises(Failure, match=r"at most 64 tokens, the job asks for model\.context 65") as failure:
        program_of(bases("llama"), model={"context": 65})
    assert failure.value.code == "base/context"


@pytest.mark.parametrize("target", ["c_attn", "lm_head", "embed_tokens"])
def test_target_that_is_no_layer_of_the_blocks_is_refused(target: str, bases: Any) -> None:  # noqa: ANN401
    with pytest.raises(Failure, match=f"called {target}; there are down_proj, gate_proj, k_proj,") as failure:
        program_of(bases("llama"), tune="lora", lora={"targets": ["q_proj", target]})
    assert failure.value.code == "base/targets"


def test_targets_of_an_adapter_are_those_asked_for(bases: Any) -> None:  # noqa: ANN401
    program = program_of(bases("gpt2"), tune="lora", lora={"targets": ["mlp.c_proj"]})
    assert {name.split(".")[-3] for name in program.layout} == {"c_proj"}
    assert all(".mlp." in name for name in program.layout)
    assert len(program.layout) == 4


def test_adapter_of_a_base_in_16_bits_keeps_it_so(bases: Any) -> None:  # noqa: ANN401
    model = program_of(bases("qwen2", "bfloat16"), tune="lora").build("cpu")
    dtypes = {(weight.dim() > 1, weight.requires_grad): weight.dtype for weight in model.parameters()}
    assert dtypes == {(True, True): torch.float32, (True, False): torch.bfloat16, (False, False): torch.float32}


def test_adapter_begins_with_the_same_bits_for_ever(bases: Any, tmp_path: Path) -> None:  # noqa: ANN401
    program = program_of(bases("llama"), tune="lora")
    drawn = dict(program.initial(7))
    a = drawn["base_model.model.model.layers.1.self_attn.o_proj.lora_A.weight"]
    assert a.shape == (8, 64 // 2)
    assert a.std().item() == pytest.approx((3 * 32) ** -0.5, rel=0.1)
    assert not any(tensor.any() for name, tensor in drawn.items() if "lora_B" in name)
    theta = write_tensors(str(tmp_path / "theta"), program.layout, (raw(tensor) for tensor in drawn.values()))
    assert theta.sha256 == "df14124924aea23202c67dad8a5991d2bdbcf9dce00057675d122da3d7656aa5"


def test_llama_from_scratch_is_one_of_transformers(tmp_path: Path) -> None:
    params = parse(Params, make_params(model={"family": "llama"}))
    program = open_program(params, 256, None)
    theta = write_tensors(str(tmp_path / WEIGHTS), program.layout, (raw(each) for _, each in program.initial(3)))
    assert theta.sha256 == "931dd6b853ab089b3cd598fb56734625cd78c7901df4285ae61f5245ef05deef"
    model = load_model(program, theta.path, "cpu")
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 96}
    theirs = LlamaForCausalLM(LlamaConfig(vocab_size=256, tie_word_embeddings=True, **shape)).eval()
    theirs.load_state_dict(load_file(theta.path), strict=False)
    ids = tokens() % 256
    with torch.inference_mode():
        assert torch.allclose(model.logits(ids), theirs(ids).logits, atol=1e-6)
