"""The man pages: they can be made, those that are shipped tell what the commands have, and man has nothing against them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from workerpool_cli.command import COMMANDS, command

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "docs" / "man"
MAKE = "python -m workerpool_cli.man docs/man"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("man")
    subprocess.run([sys.executable, "-m", "workerpool_cli.man", folder], check=True, timeout=80, cwd=ROOT)
    return folder


def plain(text):
    """Return a page, or a help text, without what roff or click do with it."""
    return " ".join(re.sub(r"\\f[BP]|\\&|\\(?=-)", "", text).replace("\\e", "\\").split())


def commands(ctx=None):
    """Yield each command with the name of its page."""
    ctx = ctx or click.Context(command, info_name="workerpool")
    yield f"{ctx.command_path.replace(' ', '-')}.1", ctx
    if isinstance(ctx.command, click.Group):
        for name in ctx.command.list_commands(ctx):
            found = ctx.command.get_command(ctx, name)
            yield from commands(click.Context(found, info_name=name, parent=ctx))


def test_each_command_has_a_page_made_and_shipped(made):
    """And no page is left of one that is gone."""
    names = {name for name, _ in commands()}
    assert {f"workerpool-{name}.1" for name in COMMANDS} < names
    assert names == {each.name for each in made.iterdir()}
    assert names == {each.name for each in SHIPPED.iterdir()}, MAKE


@pytest.mark.parametrize("which", ["made", "shipped"])
@pytest.mark.parametrize("name", [name for name, _ in commands()])
def test_a_page_names_each_option_with_what_it_does(made, which, name):
    """As `--help` does; what is shipped is made anew where it does not."""
    page = plain(((made if which == "made" else SHIPPED) / name).read_text())
    command = dict(commands())[name].command
    assert plain(command.help.replace("\b", "").split("\n\n")[0].rstrip(".")) in page, MAKE
    for option in command.params:
        if isinstance(option, click.Option):
            for opt in (*option.opts, *option.secondary_opts):
                assert re.search(rf"(?<![\w-]){re.escape(opt)}(?![\w-])", page), (opt, MAKE)
            assert plain(option.help) in page, (option.name, MAKE)


@pytest.mark.skipif(shutil.which("man") is None, reason="there is no man")
def test_man_shows_them_whole(made):
    """No line is taken for a request of roff's, and nothing is warned of."""
    for page in made.iterdir():
        done = subprocess.run(
            ["man", "--warnings", "-E", "UTF-8", "-l", str(page)],
            capture_output=True, text=True, timeout=80, check=True, env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        assert "" == done.stderr
        assert "NAME" in done.stdout
        assert "\b" not in re.sub(r".\x08", "", done.stdout)
