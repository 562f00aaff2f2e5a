"""The engine's configurations, patches, verdicts and certificates are those of Talos's own library.

The selection in tests/golden/talos always runs; the whole collection, half a thousand cases, where it is
there. What differs is listed with its reason, and a listed case that agrees is a failure too.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.unit.machineconfig.golden import CHECKS, SHIPPED, WHOLE, cases

KNOWN: dict[str, str] = {
    "config/aescbc-bundle-110": "talos-config-rules 7: refused, since the library writes no encryption key at all",
    "config/contract-old-15": "contracts begin with 1.8 (issue 4, item 1; talos-contracts); older ones are refused",
    "config/contract-old-17": "contracts begin with 1.8 (issue 4, item 1; talos-contracts); older ones are refused",
    "patch/err-kind-1-14": "1.13.9 does not know the kind, 1.14 fills in `nodeIP: {}`; to us it is a plain value",
    "patch/list-inlinemanifests-multiline": "talos-config-rules 40: the library's own text does not load again",
}


def verdict(kind: str, folder: Path) -> str:
    try:
        return CHECKS[kind](folder)
    except Exception as error:  # noqa: BLE001 - a crash on one case must not hide the others
        return f"crashed: {error!r}"


@pytest.mark.parametrize(
    ("kind", "folder"),
    [
        pytest.param(kind, folder, id=f"{kind}/{folder.name}")
        for kind in CHECKS
        for folder in cases(SHIPPED, kind)
    ],
)
def test_a_case_ends_as_with_the_library(kind: str, folder: Path):
    assert CHECKS[kind](folder) == ""


@pytest.mark.skipif(not WHOLE.is_dir(), reason="the whole collection of cases is not beside this checkout")
@pytest.mark.parametrize("kind", list(CHECKS))
def test_the_whole_collection_ends_as_with_the_library_but_for_listed_cases(
    kind: str, capsys: pytest.CaptureFixture[str]
):
    folders = cases(WHOLE, kind)
    found = {f"{kind}/{folder.name}": verdict(kind, folder) for folder in folders}
    known = {name for name in KNOWN if name.startswith(f"{kind}/")}
    wrong = {name: difference for name, difference in found.items() if difference and name not in known}
    assert wrong == {}
    assert {name for name in known if not found.get(name)} == set(), "listed as different, but they agree"
    with capsys.disabled():
        sys.stdout.write(
            f"\ngolden cases, {kind}: {len(found) - len(known)} of {len(found)} end as with the library,"
            f" {len(known)} are listed\n"
        )
