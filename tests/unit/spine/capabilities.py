"""Capabilities of the tests' own: they answer what a test says and write down that they were asked.

`ANSWERS` holds what a read gives: a value, an error to raise, or a coroutine function to await. `CALLS`
holds every change that was carried out, in order.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from engine.base.errors import CapabilityError
from engine.base.values import Opaque
from engine.capabilities.contract import Capability, Ports

ANSWERS: dict[str, Any] = {}
CALLS: list[tuple[str, str]] = []
COMPUTED: list[str] = []

_TEXT = {"type": "string"}


def _form(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(properties),
        "additionalProperties": False,
    }


async def _read(ports: Ports, given: Mapping[str, Any]) -> Any:
    return await _answer(given["of"])


def _pure(given: Mapping[str, Any], now: float) -> Any:
    COMPUTED.append(given["of"])
    answer = ANSWERS.get(given["of"], {"text": given["of"].upper()})
    if isinstance(answer, Exception):
        raise answer
    return answer


def _change(name: str) -> Any:
    async def change(ports: Ports, given: Mapping[str, Any]) -> Any:
        CALLS.append((name, given["address"]))
        return await _answer(f"{name}:{given['address']}", {"done": True})

    return change


async def _answer(name: str, otherwise: Any = None) -> Any:
    answer = ANSWERS.get(name, otherwise)
    if isinstance(answer, Exception):
        raise answer
    return await answer() if callable(answer) else answer


def _mint(given: Mapping[str, Any], now: float) -> Any:
    COMPUTED.append("mint")
    answer = ANSWERS.get("mint", {"text": Opaque("minted")})
    if isinstance(answer, Exception):
        raise answer
    return answer


def _copy(ports: Ports, given: Mapping[str, Any], stop: threading.Event) -> Any:
    """Work of minutes: as long as the answer says so, or until it is told to stop."""
    CALLS.append(("copy", given["address"]))
    answer = ANSWERS.get(f"copy:{given['address']}", {"bytes": 7})
    if isinstance(answer, threading.Event):
        while not answer.wait(0.01):
            if stop.is_set():
                raise CapabilityError("told to stop", code="Stopped")
        return {"bytes": 7}
    if isinstance(answer, Exception):
        raise answer
    return answer


_DONE = _form(done={"type": "boolean"})
_WHERE = _form(address=_TEXT)
_MAYBE = _form(text={"type": ["string", "null"]})

TEST_CAPABILITIES = {
    item.name: item
    for item in (
        Capability(
            name="test.read", summary="", effect="read", input=_form(of=_TEXT), output=_MAYBE, start=_read
        ),
        Capability(name="test.any", summary="", effect="read", input=_form(of=_TEXT), output={}, start=_read),
        Capability(
            name="test.pure", summary="", effect="pure", input=_form(of=_TEXT), output=_MAYBE, run=_pure
        ),
        Capability(
            name="test.kept",
            summary="",
            effect="pure",
            input=_form(of={**_TEXT, "x-opaque": True}),
            output=_MAYBE,
            run=lambda given, now: _pure({"of": given["of"].reveal()}, now),
            memo=True,
        ),
        Capability(
            name="test.mint",
            summary="",
            effect="pure",
            input=_form(),
            output=_form(text={**_TEXT, "x-opaque": True}),
            run=_mint,
            random=True,
        ),
        Capability(
            name="test.change",
            summary="",
            effect="write",
            input=_WHERE,
            output=_DONE,
            start=_change("change"),
        ),
        Capability(
            name="test.copy",
            summary="",
            effect="write",
            input=_WHERE,
            output=_form(bytes={"type": "integer"}),
            work=_copy,
        ),
        Capability(
            name="test.disrupt",
            summary="",
            effect="disruptive",
            input=_WHERE,
            output=_DONE,
            start=_change("disrupt"),
        ),
        Capability(
            name="test.destroy",
            summary="",
            effect="irreversible",
            input=_WHERE,
            output=_DONE,
            start=_change("destroy"),
        ),
    )
}
