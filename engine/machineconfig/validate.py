"""Whether Talos would accept a configuration: the checks it makes before it applies one.

Promises: verdicts as Talos's own validation gives them (talos-config-rules 32 to 35), every problem
with its path. Checks that need the node's hardware are left to the node. Never
changes a configuration. Neighbours: the `checks_*` modules hold the checks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from engine.machineconfig.checks import Check, Problem, Situation
from engine.machineconfig.checks_cluster import CLUSTER_CHECKS
from engine.machineconfig.checks_crossing import CROSSING_CHECKS
from engine.machineconfig.checks_documents import document_problems
from engine.machineconfig.checks_machine import MACHINE_CHECKS
from engine.machineconfig.checks_network import NETWORK_CHECKS
from engine.machineconfig.config import Config, load
from engine.machineconfig.contracts import parse_version
from engine.machineconfig.errors import ConfigError
from engine.machineconfig.model import V1ALPHA1, model

_CHECKS: tuple[Check, ...] = (*MACHINE_CHECKS, *NETWORK_CHECKS, *CLUSTER_CHECKS)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What validation found. With warnings only, Talos accepts the configuration."""

    errors: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def validate(config: Config, *, mode: str, version: str = "", strict: bool = False) -> Verdict:
    """Check a loaded configuration.

    `mode` is `metal`, `cloud` or `container`; `version` the Talos version of the node, "" for the
    newest: it decides which document kinds exist. `strict` makes errors of the warnings about the v1alpha1
    document; those of others stay warnings (talos-config-rules 34).
    """
    situation = Situation(config, mode)
    problems = [*_kinds(config, version)]
    problems += [replace(problem, warning=problem.warning and not strict) for problem in _main(situation)]
    for document in config.documents:
        problems.extend(document_problems(document))
    for check in CROSSING_CHECKS:
        problems.extend(check(situation))
    return Verdict(
        tuple(problem for problem in problems if not problem.warning),
        tuple(problem for problem in problems if problem.warning),
    )


def validate_config(text: str, *, mode: str = "metal", version: str) -> list[str]:
    """The reasons for which a node of that version refuses a configuration text; empty when it takes it."""
    try:
        config = load(text)
    except ConfigError as error:
        return [str(error)]
    return [str(problem) for problem in validate(config, mode=mode, version=version).errors]


def _main(situation: Situation) -> Iterator[Problem]:
    if situation.config.find(V1ALPHA1) is None:
        return
    for section in ("machine", "cluster"):
        if section not in situation.config.main:
            yield Problem(section, f"the {section} section is required")
            return
    for check in _CHECKS:
        yield from check(situation)


def _kinds(config: Config, version: str) -> Iterator[Problem]:
    node = parse_version(version) if version else None
    if node is None or node >= (1, 14):
        return
    for document in config.documents:
        if model().is_untyped(document.kind):
            yield Problem(document.title, f"unknown document kind before Talos 1.14: {document.kind}")
