"""What tests, examples and the demo need of the other side: a local site."""

from .site import Site

__all__ = ["Site"]
