"""Write metrics as Prometheus reads them: the text format, version 0.0.4, and OpenMetrics 1.0.

Pure. Sources: the exposition formats page of the Prometheus documentation, and the OpenMetrics
specification; numbers look as Go's client writes them. Never writes `_created` series. Neighbour: `series`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

Form = Literal["text", "openmetrics"]

CONTENT_TYPE: Final[Mapping[Form, str]] = {
    "text": "text/plain; version=0.0.4; charset=utf-8",
    "openmetrics": "application/openmetrics-text; version=1.0.0; charset=utf-8",
}
END: Final[Mapping[Form, bytes]] = {"text": b"", "openmetrics": b"# EOF\n"}
"""What comes after everything."""
_WHOLE_BOUND: Final = re.compile(r'le="(\d+)"')

Labels = tuple[tuple[str, str], ...]
"""Names and values in the order in which they are written."""


def head(name: str, kind: str, help_text: str, form: Form = "text") -> str:
    """The HELP and TYPE lines of a family; OpenMetrics calls a counter by its name without `_total`."""
    if form == "openmetrics" and kind == "counter":
        name = name.removesuffix("_total")
    escaped = help_text.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {name} {escaped}\n# TYPE {name} {kind}\n"


def sample_line(name: str, labels: Iterable[tuple[str, str]], value: float) -> str:
    """One sample, its line end included."""
    inner = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
    return f"{name}{{{inner}}} {number(value)}\n" if inner else f"{name} {number(value)}\n"


def histogram_lines(
    name: str, labels: Labels, bounds: Sequence[float], counts: Sequence[int], total: float
) -> str:
    """A histogram series; `counts` has one number for each bound and one for what is above them all."""
    lines, below = [], 0
    for bound, count in zip((*bounds, math.inf), counts, strict=True):
        below += count
        lines.append(sample_line(f"{name}_bucket", (*labels, ("le", number(bound))), below))
    lines.append(sample_line(f"{name}_sum", labels, total))
    lines.append(sample_line(f"{name}_count", labels, below))
    return "".join(lines)


def as_openmetrics(lines: str) -> str:
    """Lines of a histogram with the bounds as OpenMetrics wants them: `1.0` where the text format has `1`."""
    return _WHOLE_BOUND.sub(r'le="\1.0"', lines)


def number(value: float) -> str:
    """The shortest text that reads back as the value: `1`, `0.25`, `1e+06`, `+Inf`."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if math.isnan(value):
        return "NaN"
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return _as_go_does(repr(float(value)))


def _as_go_does(text: str) -> str:
    """Python's shortest digits with the exponent where Go would have one: from 1e-5 down, 1e+06 up."""
    sign, digits, exponent = _taken_apart(text)
    if -5 < exponent < 6:
        return text
    mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return f"{sign}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _taken_apart(text: str) -> tuple[str, str, int]:
    """Sign, significant digits, and the power of ten of the first of them."""
    sign = "-" if text.startswith("-") else ""
    mantissa, _, power = text.removeprefix("-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    exponent = len(whole) - 1 - (len(whole + fraction) - len(digits)) + int(power or 0)
    return sign, digits.rstrip("0") or "0", exponent


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
