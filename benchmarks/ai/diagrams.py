"""Reliability diagrams as small SVG files."""

from collections.abc import Sequence

from deployments.models.contracts import ReliabilityBin

_SIZE = 240
_EDGE = 36


def reliability(bins: Sequence[ReliabilityBin], title: str) -> str:
    """How often answers were right, by how sure they were; what is on the dashed line is as right as it says."""
    bars = []
    total = sum(each.count for each in bins) or 1
    for each in bins:
        x, width = _x(each.low), (each.high - each.low) * _SIZE - 2
        height = each.accuracy * _SIZE
        share = 0.25 + 0.75 * (each.count / total) ** 0.5
        bars.append(
            f'<rect x="{x + 1:.1f}" y="{_y(each.accuracy):.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'fill="#2f6f9f" fill-opacity="{share:.2f}"><title>{each.count} answers, {each.confidence:.2f} sure, '
            f"{each.accuracy:.2f} right</title></rect>"
        )
    ticks = "".join(
        f'<text x="{_x(n / 5):.0f}" y="{_SIZE + _EDGE + 14}" text-anchor="middle">{n / 5:.1f}</text>'
        f'<text x="{_EDGE - 6}" y="{_y(n / 5) + 4:.0f}" text-anchor="end">{n / 5:.1f}</text>'
        for n in range(6)
    )
    side = _SIZE + 2 * _EDGE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" width="{side}" height="{side}" '
        f'font-family="sans-serif" font-size="11"><title>{title}</title>'
        f'<rect width="{side}" height="{side}" fill="#fff"/>'
        f'<text x="{side / 2}" y="20" text-anchor="middle" font-size="13">{title}</text>'
        f"{''.join(bars)}"
        f'<path d="M{_x(0)} {_y(0)}L{_x(1)} {_y(1)}" stroke="#444" stroke-dasharray="4 3"/>'
        f'<path d="M{_EDGE} {_EDGE}V{_SIZE + _EDGE}H{_SIZE + _EDGE}" stroke="#444" fill="none"/>'
        f'{ticks}<text x="{side / 2}" y="{side - 6}" text-anchor="middle">how sure</text>'
        f'<text transform="translate(10 {side / 2}) rotate(-90)" text-anchor="middle">how often right</text></svg>\n'
    )


def _x(value: float) -> float:
    return _EDGE + value * _SIZE


def _y(value: float) -> float:
    return _EDGE + (1 - value) * _SIZE
