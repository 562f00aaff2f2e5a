"""`python -m engine.boards [custom]`: writes the generated files of grafana/ and alerting/ anew.

A tool for whoever changes their sources; with `custom` only the dashboard of the custom metrics. Writes nothing
when there is a mistake anywhere. Neighbour: `generate` makes the texts.
"""

from __future__ import annotations

import sys
from pathlib import Path

from engine.boards.generate import custom_dashboard, everything, shipped_rules
from engine.ruleset.errors import RuleErrors


def main(arguments: list[str]) -> int:
    """Write below the current folder; 0 done, 1 there are mistakes (told on stderr), 2 not understood."""
    if arguments not in ([], ["custom"]):
        print("usage: python -m engine.boards [custom]", file=sys.stderr)
        return 2
    make = custom_dashboard if arguments else everything
    try:
        files = make(Path(), shipped_rules())
    except RuleErrors as mistakes:
        print("\n".join(str(error) for error in mistakes.errors), file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error.strerror}: {error.filename}; run this in the project's folder", file=sys.stderr)
        return 1
    for name, text in files.items():
        path = Path(name)
        changed = not path.exists() or path.read_text("utf-8") != text
        path.write_text(text, "utf-8")
        print(f"{name}: {'written' if changed else 'as it was'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
