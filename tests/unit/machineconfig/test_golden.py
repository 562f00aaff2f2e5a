"""The engine's configurations, patches, verdicts and certificates are those of Talos's own library.

The selection in tests/golden/talos always runs; the whole collection, half a thousand cases, where it is
there. What differs is listed with its reason, and a listed case that agrees is a failure too.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.machineconfig.golden import CHECKS, SHIPPED, WHOLE, cases

KNOWN: dict[str, str] = {
    "config/aescbc-bundle-110": "refused on purpose: the library writes no encryption key at all",
    "config/contract-old-15": "contracts before 1.8 are refused",
    "config/contract-old-17": "contracts before 1.8 are refused",
    "config/debug-sysctls-114": "the model is that of 1.13: kinds of 1.14 are plain values",
    "config/default-a-114": "the model is that of 1.13: kinds of 1.14 are plain values",
    "config/dns-domain-114": "the model is that of 1.13: kinds of 1.14 are plain values",
    "config/kubespan-114": "the model is that of 1.13: kinds of 1.14 are plain values",
    "config/mirror-114": "the model is that of 1.13: kinds of 1.14 are plain values",
    "config/sans-114": "the model is that of 1.13: kinds of 1.14 are plain values",
    "config/scheduling-114": "the model is that of 1.13: kinds of 1.14 are plain values",
    "config/subnets-114": "the model is that of 1.13: kinds of 1.14 are plain values",
    "diff/k8s-upgrade": "the library writes an added line before the removed one",
    "patch/deldoc-missing-kind": "as Talos 1.14: deleting an absent document changes nothing",
    "patch/deldoc-missing-name": "as Talos 1.14: the 1.13 library crashes",
    "patch/deldoc-named-without-name": "as Talos 1.14: deleting an absent document changes nothing",
    "patch/deldoc-wrong-apiversion": "as Talos 1.14: deleting an absent document changes nothing",
    "patch/err-kind-1-14": "kinds that only 1.14 has pass through; validation refuses them for older nodes",
    "patch/json-null-value": "the result is decoded at once, and null unsets a field",
    "patch/list-inlinemanifests-multiline": "the library's own text does not load",
    "patch/trap-date-in-config": "the library crashes",
    "patch/trap-date-in-patch-twice": "the library crashes",
    "patch/trap-routingrule-src": "as Talos 1.14: routing rules can be merged",
    "validate/doc-volume-selector-type": "CEL is the node's to compile",
    "validate/registry-config-null": "a null entry counts as absent",
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
def test_the_whole_collection_ends_as_with_the_library_but_for_listed_cases(kind: str):
    folders = cases(WHOLE, kind)
    found = {f"{kind}/{folder.name}": verdict(kind, folder) for folder in folders}
    known = {name for name in KNOWN if name.startswith(f"{kind}/")}
    wrong = {name: difference for name, difference in found.items() if difference and name not in known}
    assert wrong == {}
    assert {name for name in known if not found.get(name)} == set(), "listed as different, but they agree"
