"""Chats from a file to a trained round: only answers are learnt, measured and judged."""

from pathlib import Path

import numpy as np
import pytest
import torch

from emeth.data.data import Corpus
from emeth.data.sequences import Sequences, read_shard
from emeth.files.codec import read_theta, theta_layout
from emeth.files.tensors import TensorSpec, write_tensors
from emeth.models.gpt2 import build, layout
from emeth.models.network import tensors_of
from emeth.rounds.optimiser import make_optimiser
from emeth.rounds.train import learning_rate, round_warmup
from emeth.wire.params import Params
from emeth.wire.parse import parse
from tests.child import Child, Json, coordinate_spec, make_params, train_spec
from tests.data.make import lines, turns

BLOCKS = 6


@pytest.fixture(scope="module")
def chats(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Json]:
    """A prepared job on chats, its θ_0, a shard, and what the child said of them."""
    folder = tmp_path_factory.mktemp("chats")
    (folder / "chats.jsonl").write_bytes(lines(turns()))
    with Child(coordinate_spec(folder, codec="fp32")) as child:
        child.event()
        said = {"prepared": child.ask("prepare", dataset=str(folder / "chats.jsonl"), maxBytes=10**9)}
        said["init"] = child.ask("init", out=str(folder / "theta"))
        child.ask("cut", start=0, end=BLOCKS, out=str(folder / "shard"))
        model = {"theta": str(folder / "theta")}
        said["evaluated"] = child.ask("evaluate", model=model, maxSequences=0)
        said["rehearsed"] = child.ask("rehearse", theta=str(folder / "theta"), sequences=2)
        gain = {"theta": str(folder / "theta"), "shard": str(folder / "shard"), "sequences": 4}
        said["update"] = run_round(folder, said, "update", 4)
        said["inspected"] = child.ask("inspect", update=str(folder / "update"), gain=gain)
        assert child.close() == 0
    return folder, said


def run_round(folder: Path, said: Json, out: str, micro_batch: int) -> Json:
    theta = {"path": str(folder / "theta"), "sha256": said["init"]["theta"]["sha256"]}
    with Child(train_spec(folder, micro_batch=micro_batch, codec="fp32")) as child:
        child.event()
        shard = str(folder / "shard")
        return child.ask("round.run", round=0, start=0, shard=shard, theta=theta, out=str(folder / out))


def by_hand(folder: Path) -> tuple[dict[str, torch.Tensor], list[float]]:
    """The weights and losses of the round, written out."""
    params = parse(Params, make_params())
    torch.set_num_threads(1)
    names = theta_layout(layout(params.shape(256)))
    model = build(params.shape(256)).train()
    model.load_state_dict(read_theta(str(folder / "theta"), names))
    optimiser, losses = make_optimiser(model, params.inner), []
    for step, block in enumerate(shard_of(folder)):
        optimiser.set_rate(learning_rate(params.inner, step, 64) * round_warmup(step, BLOCKS))
        model.zero_grad()
        tokens, mask = tensors_of(block, "cpu")
        assert mask is not None
        scores = model.logits(tokens[:, :-1])[mask.bool()]
        loss = torch.nn.functional.cross_entropy(scores, tokens[:, 1:][mask.bool()])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), params.inner.clip)
        optimiser.step()
        losses.append(float(loss))
    return {name: weight.detach() for name, weight in model.named_parameters()}, losses


def shard_of(folder: Path) -> list[Sequences]:
    shard = read_shard(str(folder / "shard"), 4, 16, 256)
    return [shard[i] for i in range(len(shard))]


@pytest.mark.parametrize("micro_batch", [4, 3, 1])
def test_round_on_chats_learns_answers_alone(chats: tuple[Path, Json], micro_batch: int) -> None:
    folder, said = chats
    parts = [block[row : row + 1].num_targets for block in shard_of(folder) for row in range(4)]
    assert min(parts) == 0, "a sequence without an answer is among them"
    assert max(parts) > 0
    done = run_round(folder, said, f"update-{micro_batch}", micro_batch)
    weights, losses = by_hand(folder)
    assert done["tokens"] == BLOCKS * 4 * 16, "all that was computed is paid"
    targets = [block.num_targets for block in shard_of(folder)]
    assert done["loss"] == pytest.approx(np.average(losses, weights=targets), rel=1e-5)
    names = theta_layout(layout(parse(Params, make_params()).shape(256)))
    start = read_theta(str(folder / "theta"), names)
    update = read_theta(str(folder / f"update-{micro_batch}"), names)
    off = sum(float(((start[name] - update[name] - weight) ** 2).sum()) for name, weight in weights.items())
    assert (off / sum(float((part**2).sum()) for part in update.values())) ** 0.5 < 1e-3


def test_answers_alone_are_measured(chats: tuple[Path, Json]) -> None:
    _, said = chats
    assert 0 < said["evaluated"]["tokens"] < said["prepared"]["prepared"]["validationTokens"]
    assert said["evaluated"]["loss"] == pytest.approx(np.log(256), rel=0.03)
    assert said["rehearsed"]["type"] == "rehearsed"
    assert said["inspected"]["gain"] > 0


def test_gain_is_measured_where_something_is_learnt(chats: tuple[Path, Json]) -> None:
    folder, _ = chats
    shard = read_shard(str(folder / "shard"), 4, 16, 256)
    assert shard.mask is not None
    mask = shard.mask.copy()
    mask[0] = 0
    layout = {"tokens": TensorSpec("U8", shard.tokens.shape), "mask": TensorSpec("U8", mask.shape)}
    write_tensors(str(folder / "late"), layout, [shard.tokens, mask])
    gain = {"theta": str(folder / "theta"), "shard": str(folder / "late"), "sequences": 4}
    with Child(coordinate_spec(folder, codec="fp32")) as child:
        child.event()
        assert child.ask("inspect", update=str(folder / "update"), gain=gain)["gain"] > 0
        mask[:] = 0
        write_tensors(str(folder / "late"), layout, [shard.tokens, mask])
        inspected = child.ask("inspect", update=str(folder / "update"), gain=gain)
        assert inspected["ok"] and "gain" not in inspected, "where nothing is learnt there is nothing to gain"
    held_out = Corpus(parse(Params, make_params(codec="fp32")), str(folder)).validation(0)
    few = Corpus(parse(Params, make_params(codec="fp32")), str(folder)).validation(5)
    assert min(held_out[i : i + 1].num_targets for i in range(len(held_out))) == 0
    assert len(few) == 5
    assert min(few[i : i + 1].num_targets for i in range(5)) > 0
