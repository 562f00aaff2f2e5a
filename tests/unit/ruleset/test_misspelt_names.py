"""Any name of the shipped rules, misspelt, is told: the promise that mistakes fail early."""

from __future__ import annotations

import random
import re
import shutil
from pathlib import Path

import pytest

from engine.base.assets import asset
from engine.ruleset.catalog import load_catalog
from engine.ruleset.errors import RuleErrors
from engine.ruleset.load import load_rules

EXPRESSION = re.compile(r"\$\{[^\n]*?\}(?=[\s\"'/:.,}\]-]|$)")
QUOTED = re.compile(r"'[^']*'|\"talos\.[^\"]*\"|`[^`]*`")
NAME = re.compile(r"(?<![\w.-])[A-Za-z_]\w*|(?<=\.)[A-Za-z_]\w*")
FREE = re.compile(r"\.data\.\w*$")
"""Keys of Secrets and ConfigMaps are anybody's."""
SAMPLES = [pytest.param(3), pytest.param(25, marks=pytest.mark.slow)]
"""So many of each file; every one loads the whole rule."""


def places(text: str) -> list[int]:
    """Where names of expressions end, quoted words left out."""
    found = []
    for expression in EXPRESSION.finditer(text):
        bare = QUOTED.sub(lambda quoted: "#" * len(quoted.group()), expression.group())
        names = (name for name in NAME.finditer(bare) if not FREE.search(bare[: name.end()]))
        found += [expression.start() + name.end() for name in names]
    return found


RULES = asset("rules")
FILES = sorted(path.relative_to(RULES) for path in (*RULES.glob("talos*.yaml"), *RULES.glob("talos*/*.yaml")))


@pytest.mark.parametrize("count", SAMPLES)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.with_suffix("").as_posix())
def test_a_misspelt_name_in_an_expression_is_a_mistake(path: Path, count: int, tmp_path: Path) -> None:
    catalog = load_catalog(asset("schemas"))
    rule = Path(f"{path.parts[0].removesuffix('.yaml')}.yaml")
    shutil.copytree(RULES / "parts", tmp_path / "parts")
    shutil.copy(RULES / rule, tmp_path / rule)
    if (RULES / rule).with_suffix("").is_dir():
        shutil.copytree((RULES / rule).with_suffix(""), (tmp_path / rule).with_suffix(""))
    text = (RULES / path).read_text("utf-8")
    every = places(text)
    missed = []
    for end in random.Random(7).sample(every, min(count, len(every))):
        (tmp_path / path).write_text(f"{text[:end]}zz{text[end:]}", "utf-8")
        try:
            load_rules([tmp_path / rule], catalog)
        except RuleErrors:
            continue
        missed.append(text[:end].rpartition("\n")[2])
    assert missed == []
