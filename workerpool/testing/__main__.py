"""`python -m workerpool.testing`: the site on this machine, until Ctrl-C; its address is on stdout."""

import argparse
import threading
from contextlib import suppress

from .site import Site


def main() -> None:
    """Serve until interrupted."""
    about = "Serve the test site on this machine until Ctrl-C; its address is printed."
    argparse.ArgumentParser(prog="python -m workerpool.testing", description=about).parse_args()
    with Site() as site, suppress(KeyboardInterrupt):
        print(site.url, flush=True)  # whoever has started it reads it
        threading.Event().wait()


if __name__ == "__main__":
    main()
