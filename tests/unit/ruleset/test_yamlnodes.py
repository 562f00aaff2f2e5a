"""YAML as people write it: 1.2 scalars, positions, and what is refused."""

from __future__ import annotations

import pytest

from engine.base.yamlnodes import (
    MAX_BYTES,
    MapNode,
    ScalarNode,
    YamlProblems,
    descend,
    parse_document,
    parse_documents,
    plain,
    position_in,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [("on", "on"), ("no", "no"), ("1:30", "1:30"), ("010", 10), ("0o10", 8), ("0x1f", 31), ("~", None),
     ("1e3", 1000.0), ("1_000", "1_000"), ("2026-01-31", "2026-01-31"), ("'true'", "true"), ("TRUE", True)],
)  # fmt: skip
def test_scalars_are_read_as_yaml_1_2(text: str, value: object) -> None:
    assert plain(parse_document(f"a: {text}", "x")) == {"a": value}


@pytest.mark.parametrize(
    ("text", "word", "place"),
    [
        ('a: "x ${let.\\"q\\" + foo}"', "foo", (1, 21)),
        ("a: 'it''s ${here}'", "here", (1, 13)),
        ("a: >-\n  one ${two\n  three} x", "three", (3, 3)),
        ("a: ${one\n    .two}", "two", (2, 6)),
        ("a: |\n\n  ${x}", "x}", (3, 5)),
    ],
)
def test_a_place_inside_a_scalar_is_found_in_the_file(text: str, word: str, place: tuple[int, int]) -> None:
    node = descend(parse_document(text, "x"), ("a",))
    assert isinstance(node, ScalarNode)
    assert position_in(node, node.text.index(word)) == place


def problems(text: str) -> list[str]:
    with pytest.raises(YamlProblems) as caught:
        parse_document(text, "x")
    return [problem.message for problem in caught.value.problems]


def test_every_mistake_of_a_file_is_told_at_once() -> None:
    found = problems("a: &x 1\nb: *x\nc: !t 2\na: 3\n")
    assert len(found) == 4
    assert "twice" in found[3]


def test_size_and_depth_are_bounded() -> None:
    assert "at most" in problems("a: " + "x" * MAX_BYTES)[0]
    assert "deeper" in problems("[" * 40 + "]" * 40)[0]
    assert "depth" in problems("[" * 5000 + "]" * 5000)[0]


def test_a_number_that_json_does_not_know_is_refused() -> None:
    assert "not a number" in problems("a: .inf")[0]


def test_an_empty_file_is_no_document() -> None:
    assert problems("# nothing\n") == ["the file is empty"]


def test_documents_come_in_their_order() -> None:
    assert [plain(node) for node in parse_documents("a: 1\n---\nb: 2\n", "x")] == [{"a": 1}, {"b": 2}]


def test_a_key_knows_its_place() -> None:
    root = parse_document("a: 1\n  # more\nb: 2\n", "x")
    assert isinstance(root, MapNode)
    assert (root.keys["b"].line, root.keys["b"].column) == (3, 1)
