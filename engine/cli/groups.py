"""Commands that have commands of their own: each is a file's attribute, imported when it is named.

Never does work. Neighbours: `program` (the verbs), `machineconfig` and `secrets` (what stands under two of them).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click


class LazyGroup(click.Group):
    """`members` maps a command's name to `module:attribute`, in the order in which help shows them."""

    def __init__(self, *arguments: Any, members: Mapping[str, str], **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._members = members

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._members)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = self._members.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        command = getattr(import_module(module), attribute or "command")
        assert isinstance(command, click.Command)
        return command
