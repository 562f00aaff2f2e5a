"""What no part of the engine does, whatever it seems good for."""

from __future__ import annotations

import ast

from tests.contract.sources import engine, within

BUILTINS = {"eval", "exec", "compile", "__import__"}
MODULES = {"pickle", "marshal", "shelve", "dill"}
CALLS = {
    "yaml.full_load": "builds objects from text",
    "yaml.unsafe_load": "builds objects from text",
    "os.system": "a shell reads the text once more",
    "os.popen": "as os.system",
    "ssl._create_unverified_context": "whom it talks to would be unknown",
}
PASS = (
    "engine.observe",
    "engine.decide",
    "engine.act",
    "engine.report",
    "engine.measure",
    "engine.worker",
    "engine.capabilities",
)
TEMPLATES = (
    "engine.expr",
    "engine.ruleset",
    "engine.decide",
    "engine.evaluate",
    "engine.act",
    "engine.report",
)


def calls(*packages: str):
    """(place, called name, call) of every call in the modules of `packages`."""
    for source in engine():
        if within(source, *packages):
            for node in ast.walk(source.tree):
                if isinstance(node, ast.Call):
                    yield f"{source.where}:{node.lineno}", ast.unparse(node.func), node


def test_no_text_becomes_code():
    assert [f"{where} {name}" for where, name, _ in calls("engine") if name in BUILTINS] == []


def test_no_object_is_built_from_bytes_of_others():
    assert [
        f"{s.where}:{line} {name}" for s in engine() for line, name in s.imports() if name in MODULES
    ] == []


def test_no_call_that_is_known_to_be_a_trap():
    assert [f"{where}: {CALLS[name]}" for where, name, _ in calls("engine") if name in CALLS] == []


def test_no_yaml_builds_objects():
    loads = [
        f"{source.where}:{call.lineno}"
        for source in engine()
        for call in ast.walk(source.tree)
        if isinstance(call, ast.Call) and ast.unparse(call.func) in {"yaml.load", "yaml.load_all"}
        if not any(
            "Safe" in meaning(source, given)
            for given in (*call.args, *(each.value for each in call.keywords))
        )
    ]
    assert loads == []


def meaning(source, given):
    """An argument as written, or what the module's constant of that name is."""
    text = ast.unparse(given)
    for node in source.tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if text in [ast.unparse(target) for target in targets]:
                return ast.unparse(node.value)
    return text


def test_no_shell_reads_a_command_line():
    shells = [
        where
        for where, _, call in calls("engine")
        for keyword in call.keywords
        if keyword.arg == "shell"
        and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)
    ]
    assert shells == []


def test_no_text_of_a_rule_is_a_format_string():
    assert [where for where, name, _ in calls(*TEMPLATES) if name.endswith((".format", ".format_map"))] == []


def test_no_pass_sleeps():
    assert [
        where for where, name, _ in calls(*PASS) if name in {"time.sleep", "sleep", "asyncio.sleep"}
    ] == []


def test_nothing_listens_everywhere_by_itself():
    everywhere = {"0.0.0.0", "::"}
    assert [f"{s.where}:{line}" for s in engine() for line, text in s.texts() if text in everywhere] == []
