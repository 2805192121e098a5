"""Words and numbers as people read them."""

import re

__all__ = ["CAUSES", "FAMILIES", "RULES", "clean", "number_text", "seconds_text", "size_text", "span_text"]

CAUSES = {
    "crawl-delay": "a pause between two requests that robots.txt asks for, or that was set",
    "retry-after": "the server has said when to come back",
    "per-host": "as many requests as are allowed are under way at the host",
    "rate": "the rate for each host that was set",
    "slowed": "the host has said 429 or 503, or got slower, and is asked less often for a while",
    "circuit": "connections to the host have failed in a row, and it is left alone for a while",
    "robots": "the host's robots.txt is on its way",
}
FAMILIES = {
    "dns": "the host's name could not be looked up",
    "tls": "no secure connection: mostly a certificate that is wrong or out of date",
    "connect": "no connection could be made",
    "proxy": "the proxy refused, or could not be reached",
    "timeout": "no answer in time",
    "lost": "the connection ended before the answer was whole",
    "redirects": "it was led on too often",
    "size": "the body was larger than allowed",
    "decoding": "the body could not be unpacked",
    "protocol": "the answer broke the rules of HTTP",
    "invalid": "the input is no URL that can be asked for",
    "forbidden": "rules of the lane forbid the address, or robots.txt does",
    "4xx": "the server answered that the request is at fault: not found, forbidden, too many",
    "5xx": "the server answered that it is at fault itself",
    "parse": "your own code raised an error on the answer",
    "other": "anything else",
}
RULES = {
    "robots": "robots.txt forbids it",
    "robots-unreachable": "robots.txt could not be had, which forbids all of the host",
    "scheme": "it is neither http nor https",
    "depth": "it lies deeper than was asked for",
    "denied": "a pattern excludes it",
    "not-allowed": "no pattern includes it",
    "malformed": "it is no URL",
}
# What ends lines, rings bells, moves the cursor or turns the direction of writing.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_SIZES = ("B", "kB", "MB", "GB", "TB", "PB")


def clean(text: str) -> str:
    """Return the text with what cannot be seen written out."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def number_text(number: float) -> str:
    """Return a count or a rate: 12,345 or 3.4."""
    return f"{number:,.1f}" if 0 < number < 10 and number != round(number) else f"{number:,.0f}"


def size_text(size: float) -> str:
    """Return bytes in a unit of three digits: 12.3 MB."""
    for unit in _SIZES:
        if size < 999.5 or unit == _SIZES[-1]:
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" or size >= 99.95 else f"{size:.1f} {unit}"


def seconds_text(seconds: float) -> str:
    """Return seconds with two digits or three: 4.2 ms, 1.3 s, 4:05 as clocks show it."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.1f} ms" if seconds < 0.00995 else f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 59.95 else f"{span_text(seconds)}"


def span_text(seconds: float) -> str:
    """Return a time as clocks show it: 0:42, 1:02:03, or 3 d 4 h."""
    whole = round(seconds)
    if whole >= 100 * 3600:
        return f"{whole // 86400} d {whole % 86400 // 3600} h"
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
