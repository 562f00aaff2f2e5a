"""Answer the probes: /healthz (alive) and /readyz (fit to work), with each check by itself.

A check is asked when a probe comes and says what is wrong, or None. The API server's absence is no
reason to be killed, so nothing here asks it. Forms and paths follow controller-runtime's. Never
shows secrets: a check's text is for everybody. Neighbours: `listener` serves the handler, the
cache and the workers give the checks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from engine.listener import Handler, Request, Response

log = logging.getLogger(__name__)

Check = Callable[[], str | None]
"""Gives None when all is well, else what is wrong, in words."""


def probe_handler(
    *, health: Mapping[str, Check], ready: Mapping[str, Check], notes: Mapping[str, Check] | None = None
) -> Handler:
    """A handler for /healthz and /readyz, /healthz/CHECK and /readyz/CHECK.

    `?verbose` lists the checks that pass too, `?exclude=CHECK` leaves one out. `notes` are what is worth knowing and
    is no reason not to be ready: /readyz lists them with its checks, and nothing fails by them.
    """
    groups = {"healthz": {"ping": _ping, **health}, "readyz": {"ping": _ping, **ready}}

    def handle(request: Request) -> Response:
        group, _, name = request.path.strip("/").partition("/")
        checks = groups.get(group)
        told = (notes or {}) if group == "readyz" else {}
        if checks is None or (name and name not in {**checks, **told}):
            return Response(404, b"not found\n")
        if name in told:
            return Response(200, (_asked(name, told[name]) or "ok").encode())
        if name:
            return _answer(name, {name: checks[name]}, {}, verbose=False)
        left_out = set(request.query.get("exclude", ()))
        chosen = {each: check for each, check in checks.items() if each not in left_out}
        return _answer(group, chosen, told, verbose="verbose" in request.query)

    return handle


def _answer(
    title: str, checks: Mapping[str, Check], notes: Mapping[str, Check], *, verbose: bool
) -> Response:
    problems = {name: _asked(name, check) for name, check in checks.items()}
    failed = any(problems.values())
    if not failed and not verbose:
        return Response(200, b"ok")
    lines = [f"[-]{name} failed: {text}" if text else f"[+]{name} ok" for name, text in problems.items()]
    told = {name: _asked(name, note) for name, note in notes.items()}
    lines += [f"[!]{name}: {text}" if text else f"[+]{name} ok" for name, text in told.items()]
    lines.append(f"{title} check {'failed' if failed else 'passed'}")
    return Response(500 if failed else 200, ("\n".join(lines) + "\n").encode())


def _asked(name: str, check: Check) -> str | None:
    try:
        return check()
    except Exception:
        log.exception("the check %s failed", name)
        return "the check itself failed; see the log"


def _ping() -> None:
    return None
