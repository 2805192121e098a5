"""Take the secrets out of what people and logs get to see: the only place that decides what a secret is."""

from urllib.parse import SplitResult, parse_qsl, urlsplit

__all__ = ["HIDDEN", "redact"]

HIDDEN = "***"


def redact(url: object) -> str:
    """Return the URL without userinfo, query values and fragment; never raises."""
    try:
        parts = urlsplit(str(url))
        host = _host(parts)
    except ValueError:
        return "<unreadable URL>"
    query = "&".join(f"{name}={HIDDEN}" for name, _ in parse_qsl(parts.query, keep_blank_values=True))
    return SplitResult(parts.scheme, host, parts.path, query, "").geturl()


def _host(parts: SplitResult) -> str:
    place = parts.netloc.rpartition("@")[2]
    return f"{HIDDEN}@{place}" if "@" in parts.netloc else place
