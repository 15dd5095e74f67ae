"""Work that several threads do at once, each on pieces of its own."""

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Piece = TypeVar("Piece")
Result = TypeVar("Result")


def in_threads(work: Callable[[Piece], Result], pieces: Iterable[Piece]) -> Generator[Result, None, None]:
    """The results of all pieces in their order, computed by as many threads as PyTorch has been given.

    Each thread computes alone: threads that wait for each other within every operation lose more than they win as
    soon as one core is busy with something else. As each piece is computed by one thread, its result does not depend
    on their number. Whoever stops early closes the generator: then no thread works any more.
    """
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            yield from pool.map(work, pieces)
        finally:
            # The last call is what threads to come begin with.
            torch.set_num_threads(threads)
