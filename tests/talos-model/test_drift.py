"""The engine's data on configurations is what Talos's own library says, of the version that go.mod pins."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.machineconfig.contracts import contract
from engine.machineconfig.model import model
from tests.gotool import built

HERE = Path(__file__).parent
DATA = HERE.parents[1] / "schemas" / "talos"
CONTRACTS: dict[str, Any] = yaml.safe_load((DATA / "contracts.yaml").read_text())

pytestmark = [pytest.mark.slow, pytest.mark.go, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The built program."""
    return built(HERE, tmp_path_factory.mktemp("talos-model") / "talos-model")


def told(program: str, *arguments: str) -> str:
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_model_is_the_librarys(library: str) -> None:
    assert told(library, "model") == (DATA / "config-model.json").read_text(), "run `make talos-model`"


def test_what_expressions_may_name_is_the_librarys(library: str) -> None:
    assert told(library, "expressions") == (DATA / "expressions.json").read_text(), "run `make talos-model`"


def test_every_feature_of_a_contract_is_the_librarys(library: str) -> None:
    versions = [f"1.{minor}" for minor in range(8, 15)]
    assert (versions[0], versions[-1]) == (CONTRACTS["oldest"], CONTRACTS["ahead"])
    library_says = json.loads(told(library, "contracts", *versions))
    wrong, asked = [], 0
    for feature, facts in CONTRACTS["features"].items():
        method = facts.get("by") or facts["unless"]
        if method not in library_says["1.8"]:  # a question that only the next library asks
            assert facts["from"] == CONTRACTS["ahead"], feature
            continue
        asked += 1
        for version in versions[:-1]:
            wanted = library_says[version][method] == ("by" in facts)
            if contract(version).has(feature) != wanted:
                wrong.append(f"{feature} at {version}: the library says {wanted}")
    assert wrong == []
    assert asked >= 8


def test_the_version_is_the_one_that_is_pinned_and_the_newest_contract() -> None:
    (pinned,) = re.findall(r"pkg/machinery (v[\d.]+)$", (HERE / "go.mod").read_text(), re.MULTILINE)
    assert model().raw["machinery"] == pinned
    assert pinned.startswith(f"v{CONTRACTS['newest']}.")
