"""Compare what the engine makes with what Talos's own library made; one function a kind of case.

Each takes a case's folder and gives "" or what differs.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

from engine.machineconfig import diff, generate, identity, patch, redact, secretsbundle, validate
from engine.machineconfig.cluster import Cluster
from engine.machineconfig.config import Config, load, load_plain
from engine.machineconfig.errors import ConfigError
from engine.machineconfig.redact import REPLACEMENT
from tests.unit.machineconfig.certificate_facts import certificate_facts, key_facts

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = ROOT / "tests" / "golden" / "talos"
WHOLE = ROOT.parent / "shared" / "goldens" / "talos"

# What a MachineSpec and a cluster can say; cases with other options of Talos's generator do not concern us.
OPTIONS = {
    "additionalSANs", "allowSchedulingOnControlPlanes", "cni", "dnsDomain", "endpoints", "installDisk",
    "installImage", "podSubnets", "roles", "serviceSubnets",
}  # fmt: skip
NEW_YEAR_2026 = 1767225600.0


def cases(root: Path, kind: str) -> list[Path]:
    return sorted(folder for folder in (root / kind).glob("*") if folder.is_dir())


def read(folder: Path, name: str) -> Any:
    (document,) = load_plain((folder / name).read_text())
    return document


def concerns_us(folder: Path) -> bool:
    """Whether a config case asks for what we offer, of the library version that we follow."""
    asked = read(folder, "input.yaml")
    ours = asked["machinery"] == "v1.13.9" and asked["contract"] not in ("", "v1.14")
    return ours and set(asked["options"]) <= OPTIONS


def check_config(folder: Path) -> str:
    wanted = read(folder, "outcome.yaml")["outcome"]
    try:
        made = {role: _generated(folder, role) for role in ("controlplane", "worker")}
    except ConfigError as error:
        return "" if wanted == "error" else f"refused: {error}"
    if wanted == "error":
        return "was not refused"
    verdicts = read(folder, "outcome.yaml")["metal"]
    for role, config in made.items():
        difference = _text_difference((folder / f"expected-{role}.yaml").read_text(), config.text())
        if difference:
            return difference
        errors = validate.validate(config, mode="metal").errors
        if bool(errors) != (verdicts[role]["outcome"] == "invalid"):
            return f"{role}: validation found {[str(error) for error in errors]}"
    return ""


def _generated(folder: Path, role: Any) -> Config:
    asked = read(folder, "input.yaml")
    options, files = asked["options"], asked["patches"]
    cluster = Cluster(
        name=asked["clusterName"],
        endpoint=asked["endpoint"],
        version=asked["contract"],
        kubernetes=str(asked["kubernetesVersion"]).removeprefix("v"),
        sans=tuple(options.get("additionalSANs", ())),
        pod_subnets=tuple(options.get("podSubnets", ())),
        service_subnets=tuple(options.get("serviceSubnets", ())),
        domain=options.get("dnsDomain", ""),
        cni=json.dumps(options.get("cni", {})),
    )
    config = generate.base_config(cluster, (folder / "secrets.yaml").read_text(), role)
    own = []
    if "installDisk" in options:
        install = {"disk": options["installDisk"], "image": options.get("installImage")}
        own.append(patch.patch_of({"machine": {"install": install}}))
    if options.get("allowSchedulingOnControlPlanes") and role == "controlplane":
        own.append(patch.patch_of({"cluster": {"allowSchedulingOnControlPlanes": True}}))
    names = [*files.get("all", ()), *files.get(role, ())]
    users = [patch.load_patch((folder / name).read_text()) for name in names]
    return reduce(patch.apply, [*own, *users], config)


def check_patch(folder: Path) -> str:
    outcome = read(folder, "outcome.yaml")
    names = read(folder, "input.yaml")["patches"]
    try:
        config = load((folder / "config.yaml").read_text())
        patches = [patch.load_patch((folder / name).read_text()) for name in names]
        text = reduce(patch.apply, patches, config).text()
    except ConfigError as error:
        return "" if outcome["outcome"] == "error" else f"refused: {error}"
    if outcome["outcome"] == "error":
        return "was not refused"
    return _difference((folder / "expected.yaml").read_text(), text)


def check_validate(folder: Path) -> str:
    asked, outcome = read(folder, "input.yaml"), read(folder, "outcome.yaml")
    try:
        config = load((folder / "config.yaml").read_text())
    except ConfigError as error:
        return "" if outcome["outcome"] == "load-error" else f"refused: {error}"
    if outcome["outcome"] == "load-error":
        return "loaded"
    verdict = validate.validate(config, mode=asked["mode"])
    errors = [str(problem) for problem in verdict.errors]
    warnings = [str(problem) for problem in verdict.warnings]
    if asked.get("strict"):  # turns the warnings of v1alpha1 into errors, those of documents stay
        errors += [text for text in warnings if text[0].islower()]
        warnings = [text for text in warnings if not text[0].islower()]
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
    return _text_difference(expected, diff.unified(old, new))


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
