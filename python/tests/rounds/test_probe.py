"""Probes: weights and data follow from the seed, and a probe is trained and compared as a lease is."""

from pathlib import Path

import numpy as np

from emeth.data.sequences import read_shard
from tests.child import Child, Json, train_spec


def probe_spec(folder: Path) -> Json:
    return train_spec(folder, total_blocks=10_000, batch=4)


def make(child: Child, folder: Path, name: str, seed: int, blocks: int = 6) -> Json:
    files = {"theta": str(folder / f"{name}.theta"), "shard": str(folder / f"{name}.shard")}
    made = child.ask("probe.make", seed=seed, blocks=blocks, **files)
    assert made["type"] == "probe.made", made
    return made


def train(child: Child, folder: Path, made: Json, name: str) -> Json:
    theta = {"path": made["theta"]["path"], "sha256": made["theta"]["sha256"]}
    out = str(folder / name)
    done = child.ask("round.run", round=0, start=0, shard=made["shard"]["path"], theta=theta, out=out)
    assert done["type"] == "round.done", done
    return done


def test_probe_follows_from_its_seed_for_ever(tmp_path: Path) -> None:
    with Child(probe_spec(tmp_path)) as child:
        child.event()
        made = make(child, tmp_path, "a", seed=7)
        again = make(child, tmp_path, "b", seed=7)
        other = make(child, tmp_path, "c", seed=8)
    hashes = [[one[file]["sha256"][:16] for file in ("theta", "shard")] for one in (made, again, other)]
    assert hashes[0] == hashes[1] == ["d24d0045bb2ba172", "c0b6290ee223bc4f"]
    assert hashes[0][0] != hashes[2][0]
    assert hashes[0][1] != hashes[2][1]


def test_probe_has_something_to_learn(tmp_path: Path) -> None:
    with Child(probe_spec(tmp_path)) as child:
        child.event()
        made = make(child, tmp_path, "a", seed=7, blocks=40)
        curve = train(child, tmp_path, made, "update")["lossCurve"]
    tokens = read_shard(made["shard"]["path"], 4, 16, 256).tokens
    assert tokens.shape == (40, 4, 17)
    assert np.unpackbits(tokens.reshape(-1)).mean() < 0.27, "three of four bits are zero"
    assert curve[-1] < curve[0] - 0.1


def test_compare_tells_honest_work_from_less_work_and_from_junk(tmp_path: Path) -> None:
    with Child(probe_spec(tmp_path)) as child:
        child.event()
        made = make(child, tmp_path, "a", seed=7)
        fewer = make(child, tmp_path, "b", seed=7, blocks=5)
        full, again = train(child, tmp_path, made, "full"), train(child, tmp_path, made, "again")
        less = train(child, tmp_path, fewer, "less")
        assert full["update"]["sha256"] == again["update"]["sha256"]
        (tmp_path / "junk").write_bytes(b"junk")

        def distance(update: str) -> Json:
            return child.ask("compare", update=update, expected=full["update"]["path"])

        assert distance(again["update"]["path"])["distance"] == 0
        assert distance(less["update"]["path"])["distance"] > 0.05
        assert distance(str(tmp_path / "junk"))["code"] == "model/bad-file"
