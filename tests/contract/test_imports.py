"""Each third-party library has one way in, so that its traps are known in one place."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from tests.contract.sources import ROOT, engine, project, within

PRODUCTS = ("engine.simulator", "engine.standalone")

ONE_WAY_IN = {
    # import name: (distribution, the package or module of the spine that may import it)
    "aiohttp": ("aiohttp", "engine.standalone"),
    "boto3": ("boto3", "engine.ports.stores"),
    "botocore": ("boto3", "engine.ports.stores"),
    "celpy": ("cel-python", "engine.standalone"),
    "click": ("click", "engine.cli"),
    "cryptography": ("cryptography", "engine.machineconfig"),
    "google": ("protobuf", "engine.protocol"),
    "grpc": ("grpcio", "engine.ports.talos"),
    "hpack": ("hpack", "engine.ports.talos"),
    "grpc_tools": ("grpcio-tools", "engine.protocol.compile"),
    "jmespath": ("jmespath", "engine.expr"),
    "jsonschema": ("jsonschema", "engine.ruleset"),
    "prometheus_client": ("prometheus-client", "engine.process_metrics"),
    "promql_parser": ("promql-parser", "engine.boards.promql"),
    "pykube": ("pykube-ng", "engine.ports.kube"),
    "pyrage": ("pyrage", "engine.machineconfig.sealing"),
    "re2": ("google-re2", "engine.standalone"),
    "referencing": ("referencing", "engine.ruleset"),
    "requests": ("requests", "engine.ports.kube"),
    "yaml": ("pyyaml", "engine.base.yamltext"),
}

NOT_FOR_VALIDATE = (
    "aiohttp",
    "boto3",
    "botocore",
    "celpy",
    "cryptography",
    "grpc",
    "hpack",
    "prometheus_client",
    "pykube",
    "pyrage",
    "requests",
    "engine.ports.kube.client",
    "engine.ports.talos.client",
    "engine.simulator",
    "engine.standalone",
)


def third_party():
    for source in engine():
        for line, name in source.imports():
            top = name.partition(".")[0]
            if top != "engine" and top not in sys.stdlib_module_names:
                yield source, line, top


def test_every_library_is_in_the_table():
    assert {top for _, _, top in third_party()} - set(ONE_WAY_IN) == set()


def test_each_library_is_imported_in_one_place():
    wrong = [
        f"{source.where}:{line} imports {top}, which belongs in {ONE_WAY_IN[top][1]}"
        for source, line, top in third_party()
        if top in ONE_WAY_IN and not within(source, ONE_WAY_IN[top][1], *PRODUCTS)
    ]
    assert wrong == []


def test_every_library_is_declared_and_every_declared_library_is_used():
    def names(requirements):
        return {re.split(r"[<>=~!\[; ]", each)[0].lower() for each in requirements}

    extras = project()["project"]["optional-dependencies"]
    users = [each for extra, wanted in extras.items() if extra != "dev" for each in wanted]
    declared = names([*project()["project"]["dependencies"], *users])
    used = {ONE_WAY_IN[top][0] for _, _, top in third_party()} - {"grpcio-tools", "promql-parser"}
    assert used == declared


@pytest.mark.parametrize("arguments", [["validate"], ["validate", "--help"], ["--help"]])
def test_validate_and_help_load_no_client(arguments):
    script = (
        "import json, sys\n"
        "from engine.cli import main\n"
        f"code = main({arguments!r})\n"
        f"print(json.dumps([code, sorted(set(sys.modules) & set({NOT_FOR_VALIDATE!r}))]))\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout.splitlines()[-1]) == [0, []], shown.stderr
