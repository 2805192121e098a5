"""The Link header (RFC 8288), parsed as requests does."""

import re

__all__ = ["parse_links"]

_LINK = re.compile(r"<([^<>]*)>((?:\s*;\s*[^\s=;,\"]+(?:\s*=\s*(?:\"(?:[^\"\\]|\\.)*\"|[^\s;,\"]*))?)*)")
_PARAMETER = re.compile(r";\s*([^\s=;,\"]+)(?:\s*=\s*(\"(?:[^\"\\]|\\.)*\"|[^\s;,\"]*))?")


def parse_links(header: str) -> dict[str, dict[str, str]]:
    """Return each link's URL and parameters by its relation, or by its URL where it names none."""
    links: dict[str, dict[str, str]] = {}
    for url, parameters in _LINK.findall(header):
        link = {"url": url.strip()}
        for name, value in _PARAMETER.findall(parameters):
            link.setdefault(name.lower(), _unquoted(value))  # RFC 8288, 3.4: the first counts
        links[link.get("rel") or link["url"]] = link
    return links


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value.strip(" '")
