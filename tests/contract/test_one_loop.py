"""One loop: the engine knows no kind, no Talos method and no metric by name. Rules do."""

from __future__ import annotations

import re

import yaml

from tests.contract.sources import ROOT, engine, within

MAY_NAME = ("engine.simulator", "engine.standalone", "engine.capabilities")

SPINE = [source for source in engine() if not within(source, *MAY_NAME)]


def kinds() -> set[str]:
    names = set()
    for path in (ROOT / "schemas" / "crds").glob("*.yaml"):
        given = yaml.safe_load(path.read_text("utf-8"))["spec"]["names"]
        names |= {given["kind"], given["plural"], given["singular"], given["listKind"]}
    return names


def methods() -> set[str]:
    """Services and calls of Talos; COSI's own are left out, for `cosi:` is a noun of the language like `kube:`."""
    folder = ROOT / "schemas" / "talos"
    files = [path for path in folder.rglob("*.proto") if "cosi" not in path.relative_to(folder).parts]
    text = "".join(path.read_text("utf-8") for path in files)
    services = re.findall(r"^service (\w+)", text, re.MULTILINE)
    calls = re.findall(r"^\s*rpc (\w+)", text, re.MULTILINE)
    return {*services, *(f"/{call}" for call in calls)}


def metrics() -> set[str]:
    text = "".join(path.read_text("utf-8") for path in (ROOT / "rules").rglob("*.yaml"))
    return set(re.findall(r"\bname: (\w+_\w+)", text)) | {"talos_operator_"}


def named(words: set[str]) -> list[str]:
    pattern = re.compile("|".join(rf"(?<!\w){re.escape(word)}(?!\w)" for word in sorted(words)))
    return [
        f"{source.where}:{line} {text[:60]!r}"
        for source in SPINE
        for line, text in source.texts()
        if pattern.search(text)
    ]


def test_there_is_something_to_look_for():
    assert {"TalosMachine", "talosmachines"} <= kinds()
    assert {"MachineService", "/Bootstrap"} <= methods()
    assert len(metrics()) > 1


def test_no_kind_is_named():
    assert named(kinds()) == []


def test_no_talos_method_is_named():
    assert named(methods()) == []


def test_no_metric_is_named():
    assert named(metrics()) == []
