"""The held-out loss over the tokens trained on, as a picture: an SVG file that any browser and model hub shows."""

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 20, 40, 56
_TICKS = 5
_FONT = 'font-family="sans-serif" font-size="12" fill="#333"'

Points = Sequence[tuple[float, float]]


def draw_curve(points: Points, title: str) -> str:
    """The picture of (tokens, loss) points; both axes are labelled and start at round numbers."""
    across = _ticks(0, max(x for x, _ in points))
    up = _ticks(min(y for _, y in points), max(y for _, y in points))

    def x_of(tokens: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (tokens - across[0]) / (across[-1] - across[0])

    def y_of(loss: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * (loss - up[0]) / (up[-1] - up[0])

    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    lines = [_line(_LEFT, y_of(loss), right, y_of(loss), "#ddd") for loss in up]
    lines += [_line(_LEFT, _TOP, _LEFT, bottom, "#333"), _line(_LEFT, bottom, right, bottom, "#333")]
    lines += [_text(_LEFT - 8, y_of(loss) + 4, f"{loss:g}", "end") for loss in up]
    lines += [_text(x_of(tokens), bottom + 18, short_count(tokens), "middle") for tokens in across]
    path = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in points)
    lines += [f'<polyline points="{path}" fill="none" stroke="#1f6feb" stroke-width="2"/>']
    lines += [f'<circle cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="3" fill="#1f6feb"/>' for x, y in points]
    lines += [
        _text(_WIDTH / 2, 20, title, "middle"),
        _text((_LEFT + right) / 2, _HEIGHT - 12, "tokens trained on", "middle"),
        f'<text transform="translate(16 {(_TOP + bottom) / 2:.1f}) rotate(-90)" text-anchor="middle" {_FONT}>'
        "held-out loss (nats per token)</text>",
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
    head += f'viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">'
    return "\n".join([head, f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>', *lines, "</svg>", ""])


def short_count(number: float) -> str:
    """A round number as axes show it: 500, 20k, 1.5M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:g}{unit}"
    return f"{number:g}"


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers around a range, at most some six, in steps of 1, 2 or 5 times a power of ten."""
    span = (high - low) or max(abs(high), 1.0)
    power = 10 ** math.floor(math.log10(span / _TICKS))
    step = next(part * power for part in (1, 2, 5, 10) if part * power * _TICKS >= span)
    first = math.floor(low / step)
    last = max(math.ceil(high / step), first + 1)
    return [round(i * step, 10) for i in range(first, last + 1)]


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {_FONT}>{escape(text)}</text>'
