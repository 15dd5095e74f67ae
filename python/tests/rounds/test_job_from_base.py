"""A job that starts from a base, through all that its node and a worker ask of Python: rounds, gate, audit, fold."""

from pathlib import Path

import pytest

from tests.bases import make_base
from tests.child import Child, Json, coordinate_spec, sample_text, train_spec

JOBS = {
    "in full": ("gpt2-old", {"batch": 4, "inner": {"lr": 1e-3}}),
    "by an adapter": ("qwen2", {"batch": 4, "tune": "lora", "inner": {"lr": 2e-2}}),
}


@pytest.fixture(scope="module", params=JOBS)
def job(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Json]:
    """Directory, base and parameters of a job whose data are prepared."""
    kind, changes = JOBS[request.param]
    folder = tmp_path_factory.mktemp("job")
    base = make_base(kind, folder / "base")
    (folder / "data.txt").write_bytes(sample_text())
    return folder, base, changes


def test_rounds_lower_the_loss_and_pass_the_gate_and_the_audit(job: tuple[Path, Path, Json]) -> None:
    folder, base, changes = job
    at = {name: str(folder / name) for name in ("theta0", "theta1", "outer", "delta", "shard", "update", "again")}
    with Child(coordinate_spec(folder, base, **changes)) as node:
        assert node.event()["parameters"] == 0
        prepared = node.ask("prepare", dataset=str(folder / "data.txt"), maxBytes=10**6)["prepared"]
        theta0 = node.ask("init", out=at["theta0"])["theta"]
        assert node.ask("rehearse", theta=at["theta0"], sequences=4)["loss"] < 10
        before = node.ask("evaluate", model={"theta": at["theta0"]}, maxSequences=16)
        node.ask("cut", start=0, end=8, out=at["shard"])

        spec = train_spec(folder, total_blocks=prepared["epochBlocks"], base=base, **changes)
        spec |= {"vocabSize": prepared["vocabSize"]}
        lease = {"round": 0, "start": 0, "shard": at["shard"], "theta": theta_of(theta0)}
        with Child(spec) as worker:
            assert worker.event()["parameters"] > 0
            done = worker.ask("round.run", **lease, out=at["update"])
            facts = node.ask(
                "inspect",
                update=at["update"],
                theta=at["theta0"],
                gain={"theta": at["theta0"], "shard": at["shard"], "sequences": 8},
            )
            assert facts["ok"], facts
            assert facts["gain"] > 0.005
            assert facts["endTheta"] == done["endTheta"]
            folded = node.ask(
                "fold",
                theta=at["theta0"],
                updates=[{"path": at["update"], "weight": 1}],
                scale=1,
                thetaOut=at["theta1"],
                outerOut=at["outer"],
                deltaOut=at["delta"],
            )
            after = node.ask("evaluate", model={"theta": at["theta1"]}, maxSequences=16)
            assert after["loss"] < before["loss"] - 0.005

            # The worker makes θ_1 from the delta; whoever has it whole trains the same.
            delta = {"delta": at["delta"], "base": theta0["sha256"], "sha256": folded["theta"]["sha256"]}
            by_delta = worker.ask("round.run", **lease | {"theta": delta}, out=at["update"])
        with Child(spec) as auditor:
            auditor.event()
            whole = auditor.ask("round.run", **lease | {"theta": theta_of(folded["theta"])}, out=at["again"])
            assert whole["update"]["sha256"] == by_delta["update"]["sha256"]
            assert auditor.ask("compare", update=at["update"], expected=at["again"])["distance"] == 0


def theta_of(file: Json) -> Json:
    return {"path": file["path"], "sha256": file["sha256"]}
