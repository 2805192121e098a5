"""What tests, examples and the demo need of the other side: a local site, a scripted one, a pool without a network."""

from .fake import FakePool, UnexpectedRequest
from .script import Received
from .scripted import ScriptedSite, TlsSite
from .site import Site

__all__ = ["FakePool", "Received", "ScriptedSite", "Site", "TlsSite", "UnexpectedRequest"]
