"""A rehearsal passes for rates that train, and refuses those after which the loss is no number."""

from dataclasses import replace

import pytest

from emeth.models.gpt2 import Gpt2Program
from emeth.models.program import load_model
from emeth.rounds.rehearsal import rehearse
from emeth.wire.events import Failure
from tests.conftest import Job


def test_usual_rates_give_a_lower_loss(job: Job) -> None:
    model = load_model(Gpt2Program(job.shape), job.theta0.path, "cpu")
    sequences = job.corpus.validation(4)
    loss = rehearse(model, sequences, job.params.inner, job.params.outer)
    again = rehearse(model, sequences, job.params.inner, job.params.outer)
    assert 0 < again < loss


def test_rates_that_break_the_model_are_refused(job: Job) -> None:
    model = load_model(Gpt2Program(job.shape), job.theta0.path, "cpu")
    inner = replace(job.params.inner, lr=1.0, clip=1e30, weight_decay=1.0, beta2=0.0)
    outer = replace(job.params.outer, lr=4.0, momentum=1 - 2**-50)
    with pytest.raises(Failure, match="not a finite number") as failure:
        rehearse(model, job.corpus.validation(4), inner, outer)
    assert failure.value.code == "params/diverge"
