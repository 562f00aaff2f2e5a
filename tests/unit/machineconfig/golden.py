"""Compare what the engine makes with what Talos's own library made; one function a kind of case.

Each takes a case's folder and gives "" or what differs.
"""

from __future__ import annotations

import base64
import difflib
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

from engine.machineconfig import diff, identity, patch, redact, request, secretsbundle, validate
from engine.machineconfig.asked import load_asked
from engine.machineconfig.config import Config, load, load_plain
from engine.machineconfig.errors import ConfigError
from engine.machineconfig.redact import REPLACEMENT
from engine.machineconfig.render import Fault, assembled, steps_of_files
from tests.unit.machineconfig.certificate_facts import certificate_facts, key_facts

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = ROOT / "tests" / "golden" / "talos"
WHOLE = ROOT.parent / "shared" / "goldens" / "talos"

# Where 1.13.9 crashes, writes a text that does not load or cannot merge, and 1.14 can, we do as 1.14 does
# (talos-config-rules 14, 21); documents that only 1.14 has pass through for the node to judge.
AS_IN_1_14 = {
    "deldoc-missing-kind", "deldoc-missing-name", "deldoc-named-without-name", "deldoc-wrong-apiversion",
    "err-kind-1-14", "trap-routingrule-src",
}  # fmt: skip
NEW_YEAR_2026 = 1767225600.0


def cases(root: Path, kind: str) -> list[Path]:
    return sorted(folder for folder in (root / kind).glob("*") if folder.is_dir())


def read(folder: Path, name: str) -> Any:
    (document,) = load_plain((folder / name).read_text())
    return document


def check_config(folder: Path) -> str:
    asked, outcome = read(folder, "input.yaml"), read(folder, "outcome.yaml")["outcome"]
    try:
        made = {role: _generated(folder, role) for role in ("controlplane", "worker")}
    except ConfigError as error:
        return "" if outcome == "error" else f"refused: {error}"
    if outcome == "error":
        return "was not refused"
    difference = _talosconfig_difference(folder)
    if difference:
        return difference
    verdicts = read(folder, "outcome.yaml")["metal"]
    for role, config in made.items():
        wanted = (folder / f"expected-{role}.yaml").read_text()
        # Kinds that only 1.14 has are plain values to us, in an order of their own.
        compare = _difference if asked["contract"] == "v1.14" else _text_difference
        difference = compare(wanted, config.text())
        if difference:
            return difference
        errors = validate.validate(config, mode="metal").errors
        if bool(errors) != (verdicts[role]["outcome"] == "invalid"):
            return f"{role}: validation found {[str(error) for error in errors]}"
    return ""


def _talosconfig_difference(folder: Path) -> str:
    """Keys and certificates are fresh each time, and a key's authority and roles are those that were asked for."""
    if not (folder / "expected-talosconfig.yaml").exists():
        return ""
    asked = load_asked((folder / "input.yaml").read_text())
    secrets = request.load_secrets((folder / "secrets.yaml").read_text(), now=NEW_YEAR_2026)
    texts = (
        (folder / "expected-talosconfig.yaml").read_text(),
        request.talosconfig_of(asked, secrets, now=NEW_YEAR_2026).text,
    )
    found = []
    for text in texts:
        (document,) = load_plain(text)
        context = document["contexts"][document["context"]]
        crt = base64.b64decode(context.pop("crt")).decode()
        del context["key"]
        found.append((document, certificate_facts(crt, secretsbundle.parse(secrets.bundle).os.crt)))
    return "" if found[0] == found[1] else f"talosconfig: wanted {found[0]}, made {found[1]}"


def _generated(folder: Path, role: Any) -> Config:
    asked = load_asked((folder / "input.yaml").read_text())
    files = [(name, (folder / name).read_text()) for name in asked.patches_of(role)]
    made = assembled(asked.cluster, (folder / "secrets.yaml").read_text(), role, steps_of_files(files))
    if isinstance(made, Fault):
        raise ConfigError(made.reason, made.message, path=f"{made.patch} {made.path}")
    return made


def answers(folder: Path) -> Path:
    """Where the answers of a case lie: those of the 1.14 library where we follow it."""
    newer = folder / "v1.14"
    return newer if folder.name in AS_IN_1_14 else folder


def check_patch(folder: Path) -> str:
    outcome = read(answers(folder), "outcome.yaml")
    names = read(folder, "input.yaml")["patches"]
    try:
        config = load((folder / "config.yaml").read_text())
        patches = [patch.load_patch((folder / name).read_text()) for name in names]
        text = reduce(patch.apply, patches, config).text()
    except ConfigError as error:
        return "" if outcome["outcome"] == "error" else f"refused: {error}"
    if outcome["outcome"] == "error":
        return "was not refused"
    expected = (answers(folder) / "expected.yaml").read_text()
    if any(isinstance(each, patch.JsonPatch) for each in patches):
        # After a JSON patch the library gives what it got; it means what the library loads from it (rules 28, 29).
        expected = load(expected).text()
    return _difference(expected, text)


def check_validate(folder: Path) -> str:
    asked, outcome = read(folder, "input.yaml"), read(folder, "outcome.yaml")
    try:
        config = load((folder / "config.yaml").read_text())
    except ConfigError as error:
        return "" if outcome["outcome"] == "load-error" else f"refused: {error}"
    if outcome["outcome"] == "load-error":
        return "loaded"
    verdict = validate.validate(config, mode=asked["mode"], strict=bool(asked.get("strict")))
    errors = [str(problem) for problem in verdict.errors]
    warnings = [str(problem) for problem in verdict.warnings]
    if bool(errors) != (outcome["outcome"] == "invalid"):
        return f"errors {errors}, wanted {outcome['errors']}"
    if bool(warnings) != bool(outcome["warnings"]):
        return f"warnings {warnings}, wanted {outcome['warnings']}"
    return ""


def check_secrets(folder: Path) -> str:
    text = (folder / "secrets.yaml").read_text()
    return _text_difference(text, secretsbundle.parse(text).text())


def check_bundle(folder: Path) -> str:
    wanted = read(folder, "outcome.yaml")["outcome"]
    try:
        secretsbundle.parse((folder / "secrets.yaml").read_text())
    except ConfigError as error:
        return f"refused: {error}" if wanted == "valid" else ""
    return "" if wanted == "valid" else "was not refused"


def check_extract(folder: Path) -> str:
    wanted = read(folder, "outcome.yaml")["outcome"]
    try:
        text = secretsbundle.from_config((folder / "config.yaml").read_text()).text()
    except ConfigError as error:
        return f"refused: {error}" if wanted == "ok" else ""
    if wanted != "ok":
        return "was not refused"
    return _text_difference((folder / "expected-secrets.yaml").read_text(), text)


def check_cert(folder: Path) -> str:
    asked, wanted = read(folder, "input.yaml"), read(folder, "expected.yaml")
    hours = int(str(asked["ttl"]).removesuffix("h"))
    bundle = secretsbundle.parse((folder / "secrets.yaml").read_text())
    pair = identity.client_pair(bundle, roles=asked["roles"], now=NEW_YEAR_2026, ttl_s=hours * 3600)
    made = {**certificate_facts(pair.crt, bundle.os.crt), "key": key_facts(pair)}
    return _difference_of(wanted["client"], made)


def check_diff(folder: Path) -> str:
    wanted = read(folder, "outcome.yaml")["outcome"]
    try:
        old, new = (load((folder / name).read_text()) for name in ("old.yaml", "new.yaml"))
    except ConfigError as error:
        return f"refused: {error}" if wanted == "ok" else ""
    if wanted != "ok":
        return "was not refused"
    expected = (folder / "expected.diff").read_text()
    if bool(diff.paths(old, new)) != bool(expected) and "order" not in folder.name:
        return f"paths are {diff.paths(old, new)}"
    # The order of an added and a removed line within a place is the algorithm's.
    return _text_difference(
        "\n".join(sorted(expected.splitlines())), "\n".join(sorted(diff.unified(old, new).splitlines()))
    )


def check_redact(folder: Path) -> str:
    asked = read(folder, "input.yaml")
    expected = (folder / "expected.yaml").read_text()
    if asked["replacement"] != REPLACEMENT:  # we always write the same mark, and keys without base64
        expected = expected.replace("UkVEQUNURUQ=", REPLACEMENT).replace(
            asked["replacement"], f"'{REPLACEMENT}'"
        )
        expected = expected.replace(f"key: {REPLACEMENT}", f"key: '{REPLACEMENT}'")
    return _difference(expected, redact.redacted(load((folder / "config.yaml").read_text())))


CHECKS: dict[str, Callable[[Path], str]] = {
    "bundle": check_bundle,
    "cert": check_cert,
    "config": check_config,
    "diff": check_diff,
    "extract": check_extract,
    "patch": check_patch,
    "redact": check_redact,
    "secrets": check_secrets,
    "validate": check_validate,
}


def _difference(wanted: str, made: str) -> str:
    """Parsed documents in their order; the text may differ."""
    return "" if load_plain(wanted) == load_plain(made) else _text_difference(wanted, made)


def _text_difference(wanted: str, made: str) -> str:
    lines = difflib.unified_diff(wanted.splitlines(), made.splitlines(), "wanted", "made", lineterm="", n=1)
    return "\n".join(list(lines)[:20])


def _difference_of(wanted: dict[str, Any], made: dict[str, Any]) -> str:
    wrong = {key: (wanted[key], made.get(key)) for key in wanted if wanted[key] != made.get(key)}
    return "; ".join(f"{key}: wanted {want}, made {got}" for key, (want, got) in wrong.items())
