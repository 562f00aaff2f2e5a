"""The cases of the JMESPath specification, run in the plain dialect; nothing is left out."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from engine.base.errors import ExpressionError
from engine.expr import ExpressionSyntaxError, Scope, compile_expression
from engine.expr.operators import equal

ROOT = Path(__file__).parents[3]
GOLDENS = Path(os.environ.get("TALOS_OPERATOR_GOLDENS") or ROOT.parent / "shared" / "goldens")
FILE = GOLDENS / "jmespath" / "cases.json"


def groups():
    return json.loads(FILE.read_text()) if FILE.exists() else []


@pytest.mark.filterwarnings("ignore:deprecated string literal syntax:PendingDeprecationWarning")
@pytest.mark.skipif(not FILE.exists(), reason=f"no JMESPath cases at {FILE}; set TALOS_OPERATOR_GOLDENS")
def test_the_plain_dialect_is_jmespath():
    wrong = []
    for group in groups():
        for case in group["cases"]:
            try:
                found = compile_expression(case["expression"], strict=False).evaluate(
                    Scope({}), group["given"]
                )
                right = "error" not in case and equal(found, case["result"])
            except ExpressionSyntaxError:
                right = case.get("error") in ("syntax", "unknown-function", "invalid-arity", "invalid-value")
            except ExpressionError:
                right = case.get("error") in ("invalid-type", "invalid-value", "invalid-arity")
            if not right:
                wrong.append((group["group"], case["expression"]))
    assert wrong == []
