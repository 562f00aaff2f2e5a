"""Write metrics as Prometheus reads them: the text format, version 0.0.4.

Pure. Source: the exposition formats page of the Prometheus documentation. Neighbour: `series`.
"""

from __future__ import annotations

import math

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def head(name: str, kind: str, help_text: str) -> str:
    """The HELP and TYPE lines of a family."""
    escaped = help_text.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {name} {escaped}\n# TYPE {name} {kind}\n"


def sample_line(name: str, labels: tuple[tuple[str, str], ...], value: float) -> str:
    """One sample, its line end included."""
    if not labels:
        return f"{name} {number(value)}\n"
    inner = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
    return f"{name}{{{inner}}} {number(value)}\n"


def number(value: float) -> str:
    """A value as Go and Prometheus write it."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if math.isnan(value):
        return "NaN"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
