"""Where the files that travel with the program are: rules, schemas, dashboards.

In a checkout they lie beside the package, in a wheel inside it. Never writes; no neighbours.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def asset(*parts: str) -> Path:
    """The path of a shipped file or folder such as `asset("schemas", "crds")`.

    Raises FileNotFoundError, naming both places looked at, when the installation is incomplete.
    """
    installed = _PACKAGE.joinpath("_assets", *parts)
    checkout = _PACKAGE.parent.joinpath(*parts)
    for place in (installed, checkout):
        if place.exists():
            return place
    raise FileNotFoundError(f"neither {installed} nor {checkout} exists; reinstall talos-operator")
