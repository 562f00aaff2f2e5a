"""Reads the case files of this folder: plain YAML, and `!unknown obs.x`, `!skipped obs.x`, `!secret text`, `!omit`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.base.values import OMIT, REMOVE, Opaque, Unknown

FOLDER = Path(__file__).parent / "cases"


class _Loader(yaml.SafeLoader):
    pass


_Loader.add_constructor("!unknown", lambda loader, node: Unknown(loader.construct_scalar(node), "no answer"))
_Loader.add_constructor(
    "!skipped", lambda loader, node: Unknown(loader.construct_scalar(node), "skipped", skipped=True)
)
_Loader.add_constructor("!secret", lambda loader, node: Opaque(loader.construct_scalar(node)))
_Loader.add_constructor("!omit", lambda loader, node: OMIT)
_Loader.add_constructor("!remove", lambda loader, node: REMOVE)


def document(name: str) -> Any:
    return yaml.load((FOLDER / name).read_text(), Loader=_Loader)


def cases(name: str) -> list[Any]:
    """The cases of one file as parameters, each called by its expression."""
    return [pytest.param(case, id=str(case["expression"])[:70]) for case in document(name)["cases"]]
