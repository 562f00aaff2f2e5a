"""The documentation says what the program does: every flag, key, file and command it names exists, and none is missing."""

from __future__ import annotations

import json
import re
import runpy

import pytest

from engine.cli.program import VERBS
from tests.contract.sources import ROOT, engine

RUNBOOKS = ROOT / "alerting" / "runbooks"
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md"), *RUNBOOKS.glob("*.md")]
)
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def code_of(page):
    """The text of code blocks and code spans."""
    text = page.read_text("utf-8")
    blocks = re.findall(r"^```.*?$(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return "\n".join([*blocks, *re.findall(r"`([^`\n]+)`", text)])


def flags_of(verb):
    from importlib import import_module

    command = import_module(VERBS[verb]).command
    members = [
        command.get_command(None, name) for name in getattr(command, "list_commands", lambda _: ())(None)
    ]
    parameters = [parameter for each in (command, *members) for parameter in each.params]
    return {name for parameter in parameters for name in (*parameter.opts, *parameter.secondary_opts)} | {
        "--help",
        "-h",
    }


def test_docs_reference_is_what_the_program_says():
    written = runpy.run_path(str(ROOT / "docs" / "write_reference.py"))["reference"]()
    assert (ROOT / "docs" / "reference.md").read_text("utf-8") == written, "run `make docs`"


def test_docs_reference_names_every_flag_of_run():
    text = (ROOT / "docs" / "reference.md").read_text("utf-8")
    assert [flag for flag in flags_of("run") - {"--help", "-h"} if f"`{flag}`" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_docs_name_make_targets_that_exist(page):
    assert set(re.findall(r"\bmake ([a-z][a-z-]*)\b", code_of(page))) - TARGETS == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_docs_name_verbs_and_flags_that_exist(page):
    wrong = []
    for verb, rest in re.findall(r"\btalos-operator ([a-z]+)([^\n|]*)", code_of(page)):
        if verb not in VERBS:
            wrong.append(f"talos-operator {verb}")
            continue
        given = set(re.findall(r"(?<![\w-])(--[a-z0-9-]+)", rest.split("|")[0]))
        wrong += [f"{verb} {flag}" for flag in given - flags_of(verb)]
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_docs_speak_of_flags_that_exist(page):
    known = set().union(*(flags_of(verb) for verb in VERBS))
    spoken = set(re.findall(r"`(--[a-z][a-z0-9-]*)", page.read_text("utf-8")))
    assert spoken - known == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_docs_link_to_what_exists(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_docs_name_files_of_the_project_that_exist(page):
    named = re.findall(
        r"(?<![\w./-])((?!engine/v\d)(?:engine|rules|schemas|grafana|alerting|examples|docs|tests)/[\w./-]+\w)",
        code_of(page),
    )
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_docs_of_the_architecture_name_every_package():
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    packages = {source.name.split(".")[1] for source in engine() if source.path.parent != ROOT / "engine"}
    assert [package for package in packages if not re.search(rf"`(engine/)?{package}`", text)] == []


@pytest.mark.parametrize("section", [None, "step", "rollout", "children", "kubeWrite"])
def test_docs_of_the_language_name_every_key(section):
    schema = json.loads((ROOT / "schemas" / "reconciler.schema.json").read_text("utf-8"))
    keys = set((schema["$defs"][section] if section else schema)["properties"]) - {
        "apiVersion",
        "kind",
        "id",
        "type",
    }
    text = code_of(ROOT / "docs" / "rule-language.md")
    assert [key for key in sorted(keys) if not re.search(rf"\b{key}\b", text)] == []


def test_docs_of_the_language_name_every_key_of_a_golden_case():
    from tests.rules.test_cases import KEYS

    text = code_of(ROOT / "docs" / "rule-language.md").splitlines()
    assert [key for key in sorted(KEYS) if key not in text] == []


def test_docs_show_a_rule_that_is_valid(tmp_path):
    from engine.base.assets import asset
    from engine.ruleset.catalog import load_catalog
    from engine.ruleset.load import load_rules

    text = (ROOT / "docs" / "rule-language.md").read_text("utf-8")
    (rule,) = re.findall(r"^```yaml\n(apiVersion: .*?)^```", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "rule.yaml").write_text(rule, "utf-8")
    loaded = load_rules([tmp_path / "rule.yaml"], load_catalog(asset("schemas")))
    assert [kind.name for kind in loaded.rules] == ["NodeVersion"]


def test_docs_keep_a_changelog():
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert "## [Unreleased]" in text
