"""Which form of metrics a reader takes best, by its Accept header.

Pure. Source: RFC 9110 section 12.5.1. Whoever accepts neither form gets the text format, as Prometheus's own
exporters give it. Neighbour: `serve`.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.exposition import Form

_VERSIONS: dict[str, tuple[Form, frozenset[str]]] = {
    "application/openmetrics-text": ("openmetrics", frozenset({"", "1.0.0"})),
    "text/plain": ("text", frozenset({"", "0.0.4"})),
    "text/*": ("text", frozenset({""})),
    "*/*": ("text", frozenset({""})),
}


def form_for(accept: str) -> Form:
    """The form with the highest weight; of two alike the one that is named first."""
    best: Form = "text"
    most = 0.0
    for form, weight in _accepted(accept):
        if weight > most:
            best, most = form, weight
    return best


def _accepted(accept: str) -> Iterator[tuple[Form, float]]:
    for entry in accept.split(","):
        kind, *rest = (part.strip().lower() for part in entry.split(";"))
        options = dict(part.partition("=")[::2] for part in rest)
        known = _VERSIONS.get(kind)
        if known is None or options.get("version", "").strip('"') not in known[1]:
            continue
        try:
            weight = float(options.get("q", "1"))
        except ValueError:
            continue
        if 0 < weight <= 1:
            yield known[0], weight
