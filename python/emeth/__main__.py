"""`python -m emeth`: a child process of an Emeth node. See `src/protocol/trainer.ts` for what it reads and reports.

Exit status: 0 done, 64 bad spec, 75 out of memory, anything else a crash.
"""

import os
import sys
import traceback

from emeth.wire.events import Failure, Inbox, InboxClosed, Outbox
from emeth.wire.limits import apply_limits
from emeth.wire.parse import ParseError
from emeth.wire.spec import (
    BenchSpec,
    CoordinateSpec,
    CountSpec,
    GenerateSpec,
    GgufSpec,
    MeasureSpec,
    MemberSpec,
    Spec,
    TrainSpec,
    parse_spec,
)

EXIT_BAD_SPEC = 64
EXIT_NO_MEMORY = 75


def main() -> int:
    """Read the spec, run it, and turn the outcome into an exit status."""
    apply_limits()
    try:
        outbox = Outbox()
    except OSError:
        print("File descriptor 3 is not open; events have nowhere to go.", file=sys.stderr)
        return EXIT_BAD_SPEC
    inbox = Inbox(sys.stdin.buffer)
    try:
        run(parse_spec(inbox.first_line()), inbox, outbox)
    except (ParseError, Failure) as error:
        print(error, file=sys.stderr)
        return EXIT_BAD_SPEC
    except (InboxClosed, BrokenPipeError):
        return 0
    except MemoryError as error:
        print(f"Out of memory: {error}", file=sys.stderr)
        return EXIT_NO_MEMORY
    return 0


def run(spec: Spec, inbox: Inbox, outbox: Outbox) -> None:  # noqa: PLR0911 - one return per kind
    """Hand over to the module that does this kind of work; PyTorch is imported only then."""
    if isinstance(spec, CountSpec):  # needs no PyTorch
        from emeth.children import count

        return count.run(spec, outbox)
    if isinstance(spec, MemberSpec) or (isinstance(spec, TrainSpec) and (spec.team or spec.processes > 1)):
        from emeth.rounds import parallel

        return parallel.run(spec, inbox)
    from emeth.rounds.device import set_up

    set_up(spec)
    match spec:
        case TrainSpec():
            from emeth.rounds import train

            return train.run(spec, inbox, outbox)
        case CoordinateSpec():
            from emeth.children import coordinate

            return coordinate.run(spec, inbox, outbox)
        case BenchSpec():
            from emeth.children import bench

            return bench.run(spec, outbox)
        case GenerateSpec():
            from emeth.children import generate

            return generate.run(spec, inbox, outbox)
        case GgufSpec():
            from emeth.children import gguf

            return gguf.run(spec, outbox)
        case MeasureSpec():
            from emeth.children import measure

            return measure.run(spec, inbox, outbox)


if __name__ == "__main__":
    try:
        status = main()
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: a thread still reads stdin, and an orderly shutdown would wait for it, or abort over its lock.
    os._exit(status)
