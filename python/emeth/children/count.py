"""Counts a data set for its requester by the rule of the masters, before any money is locked."""

from emeth.data.data import count
from emeth.wire.events import Outbox
from emeth.wire.spec import CountSpec


def run(spec: CountSpec, outbox: Outbox) -> None:
    """Report what a master's `prepare` would find. Raises the Failure with which a master would refuse the data."""
    outbox.emit("counted", prepared=count(spec.params, spec.dataset, spec.max_bytes).json())
