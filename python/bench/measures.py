"""Ratios of ours to theirs with their bars, in the form that all benchmarks print: see scripts/bench/report.ts."""

import json
import os
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Measure:
    """Ours beside theirs; the bar is the most or the least that the median of their ratios may be."""

    name: str
    ours: float
    theirs: float
    unit: str
    # None where the ratio is only told.
    bar: float | None = None
    at_most: bool = False
    # The ratios of pairs of runs, where there were pairs; their median counts then.
    ratios: Sequence[float] = field(default=())
    # What else a reader may want to know.
    note: str = ""

    @property
    def ratio(self) -> float:
        """Ours ÷ theirs."""
        return statistics.median(self.ratios) if self.ratios else self.ours / self.theirs

    @property
    def met(self) -> bool:
        """Whether the bar is reached."""
        return self.bar is None or (self.ratio <= self.bar if self.at_most else self.ratio >= self.bar)

    def json(self) -> dict[str, object]:
        """The measure as data."""
        more: dict[str, object] = {"ratios": [_rounded(one) for one in self.ratios]} if self.ratios else {}
        return {
            "name": self.name,
            "bar": self._bar(),
            "ratio": _rounded(self.ratio),
            "ours": _rounded(self.ours),
            "theirs": _rounded(self.theirs),
            "unit": self.unit,
            **more,
            **({"note": self.note} if self.note else {}),
        }

    def row(self) -> str:
        """The measure as a line of the table."""
        spread = f"{min(self.ratios):.4g} to {max(self.ratios):.4g}" if self.ratios else ""
        verdict = "" if self.met else "  not met"
        parts = f"{self.ours:,.4g} and {self.theirs:,.4g} {self.unit}{self.note and '; '}{self.note}"
        return f"{self.name:<58} {self.ratio:>8.4g}  {spread:<18} {self._bar():<8}{verdict}  {parts}"

    def _bar(self) -> str:
        return "" if self.bar is None else f"{'≤' if self.at_most else '≥'} {self.bar:g}"


def report(measures: Sequence[Measure], facts: Mapping[str, object]) -> None:
    """Print everything as one line of JSON; the rows have been shown on stderr."""
    head = {"machine": _machine(), "date": time.strftime("%Y-%m-%d", time.gmtime())}
    print(json.dumps({**head, **facts, "rows": [measure.json() for measure in measures]}, ensure_ascii=False))


def show(measure: Measure) -> Measure:
    """Print a row as soon as it is known."""
    print(measure.row(), file=sys.stderr, flush=True)
    return measure


def most_bytes(pid: int | str = "self") -> int:
    """The most memory that a process has held."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return f"{os.cpu_count()} × {names[0] if names else 'unknown'}"
