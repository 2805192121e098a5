"""`workerpool identity`: a key with which requests are signed, and the directory in which sites look it up."""

import click

__all__ = ["identity"]


@click.command()
@click.argument("folder", type=click.Path(file_okay=False))
@click.option("--agent", required=True, metavar="URL", help="The https site that is to have the directory.")
def identity(folder: str, agent: str) -> None:
    """Make a key and its directory in FOLDER, to sign requests (Web Bot Auth), and print what to publish.

    Exits 0 if made, 2 for wrong usage, 4 if it cannot be written.
    """
    try:
        from ..scraping.identity import MEDIA_TYPE, make_identity  # an extra
    except ImportError as exc:
        raise click.UsageError(str(exc)) from None
    try:
        made = make_identity(folder, agent)
    except FileExistsError as exc:
        raise click.UsageError(f"{exc.filename} is there, and is kept; give another folder") from None
    except ValueError as exc:
        raise click.UsageError(f"--agent: {exc}") from None
    except OSError as exc:
        click.echo(f"workerpool: cannot write {exc.filename!r}: {exc.strerror}; give another folder", err=True)
        raise SystemExit(4) from None
    click.echo(f"key:       {made.key} (secret, readable by you only)")
    click.echo(f"key id:    {made.key_id}")
    click.echo(f"publish:   {made.directory}")
    click.echo(f"at:        {made.url}")
    click.echo(f"served as: Content-Type: {MEDIA_TYPE}")
    click.echo(f"then:      workerpool fetch --sign {made.key} --sign-as {made.agent} URL")
