"""Counts a data set for its requester by the rule of the masters, before any money is locked."""

import os

from emeth.data.data import Source, count
from emeth.data.progress import Progress
from emeth.wire.events import Outbox
from emeth.wire.spec import CountSpec


def run(spec: CountSpec, outbox: Outbox) -> None:
    """Report what a master's `prepare` would find. Raises the Failure with which a master would refuse the data."""
    source = Source(
        dataset=spec.dataset,
        max_bytes=spec.max_bytes,
        work_dir=spec.work_dir,
        base=spec.base,
        processes=spec.threads or os.cpu_count() or 1,
        report=Progress(outbox),
    )
    outbox.emit("counted", **count(spec.params, source).json())
