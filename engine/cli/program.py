"""The command `talos-operator` and its verbs, each loaded only when it is called.

Turns every error into one form and an exit code. Never does the work of a verb. Neighbours: one module
a verb in this folder, `failures` for errors.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Final

import click

from engine.cli.failures import FAILED, explain

PROGRAM: Final = "talos-operator"
COMPLETION_VARIABLE: Final = "_TALOS_OPERATOR_COMPLETE"

VERBS: Final[Mapping[str, str]] = {
    "run": "engine.cli.run",
    "validate": "engine.cli.validate",
    "simulate": "engine.cli.simulate",
    "meddle": "engine.cli.meddle",
    "get": "engine.cli.get",
    "rbac": "engine.cli.rbac",
    "backup": "engine.cli.backup",
    "restore": "engine.cli.restore",
    "machineconfig": "engine.cli.machineconfig",
    "secrets": "engine.cli.secrets",
    "completion": "engine.cli.completion",
}
"""Verb -> the module whose attribute `command` is it, in the order in which help shows them."""


class Verbs(click.Group):
    """A group that imports a verb's module when the verb is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = VERBS.get(cmd_name)
        if module is None:
            return None
        command = import_module(module).command
        assert isinstance(command, click.Command)
        return command


def _show_version(ctx: click.Context, _parameter: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        from engine import __version__

        click.echo(f"{PROGRAM} {__version__}")
        ctx.exit()


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    no_args_is_help=False,
    invoke_without_command=True,
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version.",
)
@click.pass_context
def program(ctx: click.Context) -> None:
    """Run Talos Linux clusters from Kubernetes resources, by rules written in YAML.

    \b
    Try it, on simulated machines and without a cluster:
      talos-operator run --standalone demo --simulate 5 --apply examples/quickstart.yaml
      talos-operator get talosmachines --kubeconfig demo/kubeconfig

    \b
    Check rules that you changed:
      talos-operator validate rules/

    Exit codes: 0 done, 1 failed, 2 not understood. Every flag of `run` may be set in the environment
    too: TALOS_OPERATOR_LOG_FORMAT=json is --log-format json.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def execute(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and give the exit code; errors are told on stderr."""
    try:
        outcome = program.main(
            args=None if arguments is None else list(arguments),
            prog_name=PROGRAM,
            complete_var=COMPLETION_VARIABLE,
            standalone_mode=False,
        )
    except (click.Abort, KeyboardInterrupt):
        click.echo("error: interrupted", err=True)
        return FAILED
    except BrokenPipeError:
        sys.stderr.close()
        return FAILED
    except Exception as error:
        failure = explain(error)
        if failure is None:
            raise
        click.echo(str(failure), err=True)
        return failure.code
    return outcome if isinstance(outcome, int) else 0
