"""Bars: what a figure must reach, and whether it does."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Bar:
    """A figure and the bound that it must keep.

    Attributes:
        name: What was measured.
        value: The figure; NaN if it could not be measured.
        relation: ">=" or "<=".
        limit: The bound.
    """

    name: str
    value: float
    relation: str
    limit: float

    @property
    def kept(self) -> bool:
        """Whether the figure keeps its bound; NaN never does."""
        return self.value >= self.limit if self.relation == ">=" else self.value <= self.limit

    def as_dict(self) -> dict[str, object]:
        """Plain values; a figure that is not finite becomes None, which JSON can hold."""
        value = self.value if math.isfinite(self.value) else None
        return {**asdict(self), "value": value, "kept": self.kept}


def psnr(first, second) -> float:
    """Peak signal-to-noise ratio in dB of tensors of pictures in -1..1; at most 200 for equal ones."""
    error = float((first.double() - second.double()).square().mean())
    return 10 * math.log10(4.0 / max(error, 4e-20))


def table(bars: Sequence[dict[str, object]]) -> str:
    """Markdown table of `Bar.as_dict` rows."""
    lines = ["| figure | measured | bar | |", "| --- | ---: | ---: | --- |"]
    for bar in bars:
        value = "-" if bar["value"] is None else f"{bar['value']:,.4g}"
        verdict = "kept" if bar["kept"] else "missed"
        lines.append(f"| {bar['name']} | {value} | {bar['relation']} {bar['limit']:,.4g} | {verdict} |")
    return "\n".join(lines)
