"""Types of flags: durations, addresses, and the environment variable of each flag.

Pure. Neighbours: the verbs of this folder declare their flags with these.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import click

from engine.base.errors import SettingsError
from engine.settings import BindAddress

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def option(name: str, *more: str, older: str = "", **settings: Any) -> Decorator:
    """A flag that is also TALOS_OPERATOR_<NAME> in the environment; a repeatable one is split at spaces there.

    `older`: a second variable, of the name that another operator gave it.
    """
    variable = "TALOS_OPERATOR_" + name.removeprefix("--").replace("-", "_").upper()
    return click.option(name, *more, envvar=[variable, older] if older else variable, **settings)


class Duration(click.ParamType[float]):
    """`90s`, `1m30s`, `2h`: seconds as a float."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):
            return float(value)
        parts = _PART.findall(str(value))
        if not parts or "".join(number + unit for number, unit in parts) != value:
            self.fail(f"{value!r} is no duration; write it like 60s, 1m30s or 2h", param, ctx)
        return sum(float(number) * _UNITS[unit] for number, unit in parts)


class Address(click.ParamType["BindAddress | str"]):
    """`HOST:PORT`, `:PORT`, or `0` for "off": a BindAddress, or the text "0"."""

    name = "address"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> BindAddress | str:
        if isinstance(value, BindAddress) or value == "0":
            return value  # type: ignore[no-any-return]
        try:
            return BindAddress.parse(str(value))
        except SettingsError as error:
            self.fail(str(error), param, ctx)
