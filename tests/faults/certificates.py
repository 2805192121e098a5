"""Certificates made for the tests: a good one, and one for each way to be refused."""

import ssl
from datetime import UTC, datetime, timedelta
from functools import cache

import trustme

__all__ = ["client_context", "server_context"]

_HOST = "127.0.0.1"


@cache
def _authority(name: str) -> trustme.CA:
    return trustme.CA(organization_name=name)


@cache
def server_context(name: str) -> ssl.SSLContext:
    """Return the server's side: "good", "expired", "wrong-host" or "untrusted"."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _leaf(name).configure_cert(context)
    return context


@cache
def client_context() -> ssl.SSLContext:
    """Return the client's side, which trusts one authority."""
    context = ssl.create_default_context()
    _authority("trusted").configure_trust(context)
    return context


def _leaf(name: str) -> trustme.LeafCert:
    if name == "expired":
        return _authority("trusted").issue_cert(_HOST, not_after=datetime.now(UTC) - timedelta(days=1))
    if name == "wrong-host":
        return _authority("trusted").issue_cert("elsewhere.example")
    return _authority("untrusted" if name == "untrusted" else "trusted").issue_cert(_HOST)
