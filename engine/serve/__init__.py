"""Serve /metrics: over HTTPS to those who may read it, or over HTTP to everybody.

Rendering takes prepared text and never waits for a pass. Neighbours: `gate` says who may,
`certificate` gives the TLS context, `negotiation` the form, `engine.listener` does HTTP, `engine.series` has the text.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.exposition import CONTENT_TYPE, END, Form
from engine.listener import Handler, Request, Response
from engine.serve.certificate import ServingCertificate
from engine.serve.gate import Gate
from engine.serve.negotiation import form_for

__all__ = ["Gate", "ServingCertificate", "metrics_handler"]


def metrics_handler(render: Callable[[Form], bytes], gate: Gate | None = None) -> Handler:
    """A handler that gives `render(form)` on /metrics; with a gate, only to those it lets through."""

    def handle(request: Request) -> Response:
        if request.path != "/metrics":
            return Response(404, b"not found; metrics are at /metrics\n")
        refusal = gate.refusal(request) if gate is not None else None
        if refusal is not None:
            return refusal
        form = form_for(request.headers.get("accept", ""))
        return Response(200, render(form) + END[form], CONTENT_TYPE[form], {"Vary": "Accept"})

    return handle
