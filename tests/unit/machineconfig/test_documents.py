"""Loading and writing: what a text means, and that what we write means the same."""

from __future__ import annotations

import random

import pytest

from engine.base import yamltext
from engine.machineconfig import config, nodes, patch
from engine.machineconfig.diff import text_paths
from engine.machineconfig.emit import write
from engine.machineconfig.errors import ConfigError
from engine.machineconfig.model import StructType, model

_PIECES = [
    "a",
    "Z",
    "0",
    "7",
    " ",
    ":",
    "#",
    "-",
    "'",
    '"',
    "\\",
    "\n",
    "{",
    "]",
    "é",
    "%",
    "@",
    "`",
    "~",
    "\t",
    "😀",
]


def _text(source: random.Random) -> str:
    return "".join(source.choice(_PIECES) for _ in range(source.randint(0, 9)))


def test_any_text_that_is_written_reads_back_as_the_same():
    source = random.Random(7)
    for _ in range(3000):
        value = {_text(source): [_text(source), {"k": _text(source)}, [_text(source)]], "t": _text(source)}
        written = write(value)
        assert yamltext.load_documents(written) == [value], written
        assert config.load_plain(written) == [value], written


@pytest.mark.parametrize(
    "word", ["yes", "n", "off", "null", "~", "true", "1", "0x1F", "1e3", ".5", "1_000", "12:30:45", "2024-01-01", "<<", "="]
)  # fmt: skip
def test_words_that_a_reader_could_take_for_something_else_are_quoted(word: str):
    assert yamltext.load_documents(write({"a": word})) == [{"a": word}]
    assert config.load_plain(write({"a": word})) == [{"a": word}]


def test_anchors_cannot_unfold_to_a_bomb():
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
    bomb += "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    with pytest.raises(ConfigError, match="unfolds to more than"):
        nodes.parse(bomb)


def test_depth_is_bounded():
    with pytest.raises(ConfigError, match="nested deeper"):
        nodes.parse("[" * 200 + "]" * 200)


@pytest.mark.parametrize(
    ("text", "reason", "path", "line"),
    [
        ("machine:\n  install:\n    disk: a\n    disk: b\n", "Duplicate", "", 4),
        ("machine:\n  instal: {}\n", "UnknownKey", "machine.instal", 2),
        ("machine:\n  certSANs: a.b\n", "WrongType", "machine.certSANs", 2),
        ('debug: "true"\n', "WrongType", "debug", 1),
        ("machine:\n  time: {bootTimeout: 120}\n", "WrongType", "machine.time.bootTimeout", 2),
        ("apiVersion: v1alpha1\nkind: HostnamConfig\n", "UnknownKind", "HostnamConfig", 1),
        (
            "apiVersion: v1alpha1\nkind: HostnameConfig\nauto: never\n",
            "InvalidValue",
            "HostnameConfig: auto",
            3,
        ),
        ("debug: true\n---\ndebug: true\n", "Duplicate", "v1alpha1", 3),
        ("", "Invalid", "", 0),
        ("a: [\n", "Syntax", "", 2),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, reason: str, path: str, line: int):
    with pytest.raises(ConfigError) as caught:
        config.load(text)
    assert (caught.value.reason, caught.value.path, caught.value.line) == (reason, path, line)


def test_a_misspelt_key_or_kind_comes_with_what_was_meant():
    with pytest.raises(ConfigError, match="did you mean 'install'"):
        config.load("machine: {instal: {}}\n")
    with pytest.raises(ConfigError, match="did you mean HostnameConfig"):
        config.load("apiVersion: v1alpha1\nkind: HostnamConfig\n")


def test_patches_never_change_the_configuration_that_they_start_from():
    start = config.load("machine: {type: worker, certSANs: [a], sysctls: {x: '1'}}\ncluster: {}\n")
    before = start.text()
    after = patch.apply(start, patch.patch_of({"machine": {"certSANs": ["b"], "sysctls": {"y": "2"}}}))
    assert start.text() == before
    assert after.main["machine"]["certSANs"] == ["a", "b"]


def test_a_patch_of_json_reads_texts_as_texts():
    start = config.load("machine: {type: worker}\n")
    with pytest.raises(ConfigError) as caught:
        patch.apply(start, patch.patch_of({"machine": {"install": {"wipe": "yes"}}}))
    assert caught.value.path == "machine.install.wipe"


def test_a_kind_that_only_newer_machines_know_passes_through_and_merges():
    text = "apiVersion: v1alpha1\nkind: SysctlConfig\nparams: {a: '1'}\n"
    start = config.load(text)
    after = patch.apply(start, patch.load_patch(text.replace("a: '1'", "b: '2'")))
    assert after.plain()[0]["params"] == {"a": "1", "b": "2"}


def test_equal_configurations_differ_nowhere_however_they_are_written():
    first = "machine:\n  type: worker\n  certSANs: []\n# comment\ncluster: {clusterName: x}\n"
    second = "cluster:\n    clusterName: 'x'\nmachine: {type: worker}\n"
    assert text_paths(first, second) == []


def test_a_number_and_a_truth_are_not_the_same():
    text = "machine: {kubelet: {extraConfig: {a: 1, b: [1], c: {d: 0}}}}\n"
    for place, old, new in (("a", "a: 1", "a: true"), ("b[0]", "[1]", "[true]"), ("c.d", "d: 0", "d: false")):
        found = text_paths(text, text.replace(old, new))
        assert found == [f"machine.kubelet.extraConfig.{place}"]


def test_differences_name_field_item_and_document():
    first = "machine: {type: worker, certSANs: [a, b]}\n"
    second = "machine: {type: worker, certSANs: [a, c], sysctls: {n.x: '1'}}\n---\n"
    second += "apiVersion: v1alpha1\nkind: HostnameConfig\nauto: stable\n"
    assert text_paths(first, second) == ["HostnameConfig", "machine.certSANs[1]", "machine.sysctls"]


def test_configurations_that_our_model_cannot_read_are_compared_as_they_are():
    first = "machine: {type: worker, quantum: {a: 1}}\n"
    assert text_paths(first, first.replace("a: 1", "a: 2")) == ["document 1: machine.quantum.a"]


@pytest.mark.parametrize("ahead", [False, True])
def test_every_type_of_the_model_is_known(ahead: bool):
    known = model(ahead=ahead)
    for name in known.raw["structs"]:
        kind = known.type(name)
        assert isinstance(kind, StructType)
        assert list(kind.fields) == [key.rstrip("?!") for key in known.raw["structs"][name]]
    for kind in known.kinds():
        assert known.document(kind) is not None, kind


@pytest.mark.parametrize(
    ("written", "meant"), [("08", 8), ("017", 15), ("0X10", 16), ("0b11", 3), ("1_0", 10)]
)
def test_numbers_are_read_as_talos_reads_them(written: str, meant: int):
    loaded = config.load(f"machine: {{network: {{interfaces: [{{interface: a, mtu: {written}}}]}}}}\n")
    assert loaded.main["machine"]["network"]["interfaces"][0]["mtu"] == meant
