"""What a person asks for on the command line, rendered by the code that renders for machines.

Two forms of input: a file of one's own (`asked`), and an object of the operator with a MachineSpec, whose cluster
is in the Secret that also holds the secrets. Never opens a file. Neighbours: `asked`, `render`, `identity`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.machineconfig.asked import Asked
from engine.machineconfig.checks import Problem
from engine.machineconfig.config import load_plain
from engine.machineconfig.errors import ConfigError
from engine.machineconfig.generate import Role, check_endpoint
from engine.machineconfig.identity import ADMIN, talosconfig
from engine.machineconfig.redact import redacted
from engine.machineconfig.render import Fault, Rendered, assembled, render, steps_of, steps_of_files
from engine.machineconfig.secretsbundle import check_fit, parse
from engine.machineconfig.validate import validate


@dataclass(frozen=True, slots=True)
class Secrets:
    """A secrets bundle; with it the cluster it belongs to (JSON), where an operator's Secret says it."""

    bundle: str = field(repr=False)
    cluster: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A configuration text, its form without secrets, and what a machine would not like about it."""

    text: str = field(repr=False)
    redacted: str
    problems: tuple[Problem, ...] = ()


def load_secrets(text: str, *, now: float) -> Secrets:
    """A bundle as `secrets generate` writes it, or a Secret with the keys of `<control plane>-state`.

    Raises ConfigError when it is neither, or its parts cannot be used at `now`.
    """
    documents = load_plain(text)
    raw = documents[0] if len(documents) == 1 else None
    if not isinstance(raw, Mapping) or "data" not in raw:
        check_fit(text, now)
        return Secrets(text)
    kept = Secrets(_decoded(raw, "secretBundle"), _decoded(raw, "bundleConfig"))
    check_fit(kept.bundle, now)
    return kept


def object_of(text: str) -> Mapping[str, Any] | None:
    """The object in an input text; None when it is a file of the other form. Raises ConfigError."""
    documents = load_plain(text)
    raw = documents[0] if len(documents) == 1 else None
    return raw if isinstance(raw, Mapping) and isinstance(raw.get("spec"), Mapping) else None


def render_object(given: Mapping[str, Any], secrets: Secrets, role: Role) -> Answer | Fault:
    """What the operator wants an installed machine to run, by its object: the operator's own call."""
    if not secrets.cluster:
        message = "an object needs the Secret of its control plane, which says the cluster too"
        raise ConfigError("Invalid", message, path="data.bundleConfig")
    spec: Mapping[str, Any] = given["spec"]
    made = render(
        role=role,
        cluster_text=secrets.cluster,
        bundle_text=secrets.bundle,
        machine=spec.get("machineSpec") or {},
        version=str(spec.get("version") or ""),
        installed=True,
    )
    return Answer(made.text, made.redacted) if isinstance(made, Rendered) else made


def render_asked(
    asked: Asked, secrets: Secrets, role: Role, files: Sequence[tuple[str, str]]
) -> Answer | Fault:
    """A configuration by a file of one's own; `files` are its patches, (name, text).

    It is rendered also where a machine would refuse it: that is told in `problems`.
    """
    options = asked.cluster.options
    disk = options.disk or asked.machine.get("installDisk") or ""
    own = steps_of(asked.machine, "", asked.cluster.version) if asked.machine else ()
    config = assembled(asked.cluster, secrets.bundle, role, [*own, *steps_of_files(files)])
    if isinstance(config, Fault):
        return config
    problems = validate(config, mode="metal" if disk else "cloud").errors
    try:
        check_endpoint(asked.cluster.endpoint)
    except ConfigError as error:
        problems = (Problem(error.path, error.message), *problems)
    return Answer(config.text(), redacted(config), problems)


def talosconfig_of(asked: Asked, secrets: Secrets, *, now: float) -> Answer:
    """The talosconfig of the cluster that is asked for."""
    roles = asked.roles or ADMIN
    text = talosconfig(parse(secrets.bundle), asked.cluster.name, asked.endpoints, now=now, roles=roles)
    return Answer(text, "")


def _decoded(raw: Mapping[str, Any], key: str) -> str:
    data = raw["data"] if isinstance(raw["data"], Mapping) else {}
    try:
        return base64.b64decode(str(data.get(key) or ""), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise ConfigError("Invalid", "not base64 of text", path=f"data.{key}") from None
