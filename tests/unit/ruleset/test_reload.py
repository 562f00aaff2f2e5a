"""Rule files that change under a running engine: what is good is offered, what is not is told, half-written is left."""

from __future__ import annotations

import os
import shutil

import pytest

from engine.base.assets import asset
from engine.reload import RuleFiles
from engine.ruleset.catalog import load_catalog
from engine.ruleset.errors import RuleErrors
from engine.ruleset.load import load_rules
from tests.sim.shipped import until

CATALOG = load_catalog(asset("schemas"))
RULE = """
apiVersion: engine/v1alpha1
kind: Reconciler
use: [shared]
chapters: [more]
for:
  group: example.org
  version: v1
  kind: Widget
  schema: {spec: {word: string}}
conditions: [{type: One, is: true}]
"""
PART = "{apiVersion: engine/v1alpha1, kind: Part, conditions: [{type: Shared, is: true}]}"
CHAPTER = "{apiVersion: engine/v1alpha1, kind: Chapter, of: Widget, conditions: [{type: More, is: true}]}"


def written(folder):
    for name, text in (("widget.yaml", RULE), ("parts/shared.yaml", PART), ("widget/more.yaml", CHAPTER)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def files(tmp_path):
    """The files of a folder that is looked at without a pause."""
    made = []

    def start(folder=None, path=None):
        folder = folder or written(tmp_path / "rules")
        paths = (path or folder,)
        found = RuleFiles(paths, lambda: load_rules(paths, CATALOG), look_s=0.02)
        found.start()
        made.append(found)
        return folder, found

    yield start
    for each in made:
        each.stop()


def changed(file, old, new):
    file.write_text(file.read_text().replace(old, new))


@pytest.mark.parametrize("name", ["widget.yaml", "parts/shared.yaml", "widget/more.yaml"])
@pytest.mark.parametrize("alone", [False, True])
def test_a_change_of_a_rule_a_part_or_a_chapter_is_offered(files, tmp_path, name, alone):
    path = written(tmp_path / "rules") / "widget.yaml" if alone else None
    folder, found = files(path=path)
    before = found.rules
    changed(folder / name, "is: true", "is: false")
    until("it is offered", lambda: found.offered is not None)
    assert found.offered.digest != before.digest
    offered = found.offered
    assert found.take(offered) is before
    assert (found.rules, found.offered, found.trouble) == (offered, None, None)


def test_a_mistake_is_told_with_its_place_and_what_is_in_use_stays(files, caplog):
    folder, found = files()
    before = found.rules
    changed(folder / "widget.yaml", "conditions:", "condition:")
    until("it is told", lambda: found.trouble is not None)
    assert "widget.yaml:11:1: " in found.trouble
    assert (found.rules, found.offered) == (before, None)
    assert f"those of revision {before.digest} stay" in caplog.text
    assert "did you mean" in caplog.text
    changed(folder / "widget.yaml", "condition:", "conditions:")
    until("it is taken back", lambda: found.trouble is None)
    assert found.offered is None, "what is in use is no news"


def test_an_offer_is_withdrawn_when_the_files_are_broken_before_it_is_taken(files):
    folder, found = files()
    changed(folder / "widget.yaml", "is: true", "is: false")
    until("it is offered", lambda: found.offered is not None)
    changed(folder / "widget.yaml", "conditions:", "condition:")
    until("it is withdrawn", lambda: found.offered is None and found.trouble is not None)


def test_a_configmap_that_is_swapped_by_its_links_is_seen(files, tmp_path):
    volume = tmp_path / "volume"
    written(volume / "..1")
    (volume / "..data").symlink_to("..1")
    for name in ("widget.yaml", "parts", "widget"):
        (volume / name).symlink_to(f"..data/{name}")
    _, found = files(volume)
    shutil.copytree(volume / "..1", volume / "..2")
    changed(volume / "..2" / "widget" / "more.yaml", "is: true", "is: false")
    (volume / "..data_tmp").symlink_to("..2")
    os.replace(volume / "..data_tmp", volume / "..data")  # noqa: PTH105  # as the kubelet does it
    shutil.rmtree(volume / "..1")
    until("it is offered", lambda: found.offered is not None)


def test_files_that_vanish_are_a_mistake_and_not_the_end_of_the_rules(files):
    folder, found = files()
    shutil.rmtree(folder)
    until("it is told", lambda: found.trouble is not None)
    assert found.rules.rules
    written(folder)
    until("it is taken back", lambda: found.trouble is None)


def test_rules_that_cannot_be_started_give_way_to_the_former_ones_and_are_not_tried_again(files):
    folder, found = files()
    changed(folder / "widget.yaml", "is: true", "is: false")
    until("it is offered", lambda: found.offered is not None)
    former = found.take(found.offered)
    found.put_back(former, "widgets: forbidden")
    assert found.rules is former
    assert "could not be started: widgets: forbidden" in found.trouble
    changed(folder / "widget.yaml", "type: One", "type: Other")
    until("another change is another try", lambda: found.offered is not None)
    assert found.trouble is None


def test_rules_with_a_mistake_at_the_start_are_an_error(files, tmp_path):
    folder = written(tmp_path / "rules")
    changed(folder / "widget.yaml", "conditions:", "condition:")
    with pytest.raises(RuleErrors):
        RuleFiles((folder,), lambda: load_rules((folder,), CATALOG))
