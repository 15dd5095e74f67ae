"""The limits of this process and of all that it starts, set before anything from outside is read."""

import json
import os
import sys

from emeth.wire.events import EVENTS_FD

_LIMITS = "EMETH_LIMITS"


def apply_limits() -> None:
    """Set the rlimits that the parent asks for, and close what it had open. A limit that is lower already stays."""
    asked = os.environ.pop(_LIMITS, None)
    if asked is None or sys.platform == "win32":
        return
    import resource

    # Of all that the programs before this one had open, only the streams are meant for it.
    os.closerange(EVENTS_FD + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    wanted: dict[str, int] = json.loads(asked)
    for name, value in wanted.items():
        kind = getattr(resource, f"RLIMIT_{name}", None)
        if kind is None:
            continue
        hard = resource.getrlimit(kind)[1]
        limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (limit, limit))
