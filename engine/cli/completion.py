"""`talos-operator completion`: the shell's own script that completes verbs and flags.

Prints and touches nothing. Neighbour: `program`, whose verbs are completed.
"""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from engine.cli.program import COMPLETION_VARIABLE, PROGRAM, program


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the script that completes this command in SHELL.

    \b
    Examples:
      source <(talos-operator completion bash)                                    in this shell
      talos-operator completion bash >> ~/.bashrc                                 in every shell
      talos-operator completion fish > ~/.config/fish/completions/talos-operator.fish
    """
    completion = get_completion_class(shell)
    assert completion is not None
    click.echo(completion(program, {}, PROGRAM, COMPLETION_VARIABLE).source())
