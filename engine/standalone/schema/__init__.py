"""Structural schemas of CustomResourceDefinitions: defaults, pruning, validation, CEL rules.

Pure functions over JSON values and openAPIV3Schema dicts, in the order kube-apiserver applies
them. Knows no kind and no storage. Neighbours: `admission` calls it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]
