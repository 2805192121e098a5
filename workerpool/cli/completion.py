"""`workerpool completion`: what a shell needs to complete commands and options."""

import click
from click.shell_completion import get_completion_class

__all__ = ["completion"]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script with which SHELL completes this command.

    \b
    bash: workerpool completion bash > ~/.local/share/bash-completion/completions/workerpool
    zsh:  workerpool completion zsh > a folder of $fpath, as _workerpool
    fish: workerpool completion fish > ~/.config/fish/completions/workerpool.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "workerpool", "_WORKERPOOL_COMPLETE").source())
