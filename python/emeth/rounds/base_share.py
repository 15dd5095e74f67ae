"""A job's base on the boxes that the node did not bring it to: the first box sends them its files."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from emeth.rounds.processes import Orders
from emeth.wire.parse import ParseError

_PIECE = 2**24


def bring_base(orders: Orders, base: str, work_dir: str) -> str:
    """The base's directory on this box, called as on the first one; it is not sent to a box that has it already."""
    is_first_box = os.environ["GROUP_RANK"] == "0"
    here = Path(base) if is_first_box else Path(work_dir, "bases", Path(base).name)
    lacks = not here.is_dir()
    if orders.highest(int(lacks)):
        writes = lacks and os.environ["LOCAL_RANK"] == "0"
        part = here.with_suffix(".part")
        if writes:  # room for it: bases of earlier jobs go, and what a process left that was killed meanwhile
            shutil.rmtree(here.parent, ignore_errors=True)
        for name, piece in _pieces(orders, Path(base)):
            if writes:
                _append(part, name, piece)
        if writes:
            part.rename(here)
        # Nobody opens it before it is whole.
        orders.highest(0)
    return str(here)


def _pieces(orders: Orders, base: Path) -> Iterator[tuple[str, bytes]]:
    """Every file in pieces, in order, on every process."""
    reads = orders.rank == 0
    files = sorted(file for file in base.rglob("*") if file.is_file()) if reads else []
    listed = [[str(file.relative_to(base)), file.stat().st_size] for file in files]
    for name, size in json.loads(orders.share(json.dumps(listed).encode() if reads else None)):
        for at in range(0, max(1, size), _PIECE):
            yield name, orders.share(_read(base / name, at) if reads else None)


def _read(path: Path, at: int) -> bytes:
    with path.open("rb") as file:
        file.seek(at)
        return file.read(_PIECE)


def _append(directory: Path, name: str, piece: bytes) -> None:
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise ParseError(f"The base has a file called {name!r}, which would lie outside of it.")
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(piece)
