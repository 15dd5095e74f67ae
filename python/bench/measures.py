"""Ratios with their goals, medians and spread, as a table and as JSON."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """One ratio, measured several times; `goal` is the most or the least that its median may be."""

    name: str
    values: Sequence[float]
    goal: float
    at_most: bool = False
    # What the ratio was made of, as medians, for a reader who wants to know the sizes.
    parts: str = ""

    @property
    def median(self) -> float:
        """The middle of the values."""
        return statistics.median(self.values)

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        return self.median <= self.goal if self.at_most else self.median >= self.goal

    def json(self) -> dict[str, object]:
        """The measure as data."""
        return {
            "name": self.name,
            "median": round(self.median, 5),
            "least": round(min(self.values), 5),
            "most": round(max(self.values), 5),
            "values": [round(value, 5) for value in self.values],
            "goal": f"{'≤' if self.at_most else '≥'} {self.goal:g}",
            "met": self.met,
            "parts": self.parts,
        }

    def row(self) -> str:
        """The measure as a line of the table."""
        spread = f"{min(self.values):.4g} to {max(self.values):.4g}"
        sign, verdict = "≤" if self.at_most else "≥", "" if self.met else "  not met"
        return f"{self.name:<58} {self.median:>8.4g}  {spread:<18} {sign} {self.goal:<6.4g}{verdict}  {self.parts}"


def show(measures: Sequence[Measure], facts: dict[str, object]) -> str:
    """The table, and after it everything as one line of JSON."""
    head = f"{'measure':<58} {'median':>8}  {'least to most':<18} goal"
    data = json.dumps({**facts, "measures": [measure.json() for measure in measures]}, ensure_ascii=False)
    return "\n".join([head, *(measure.row() for measure in measures), data])
