"""Which character set a body is in: by its byte order mark, what was declared, what a page says of itself, a guess."""

import codecs
import re
from email.message import Message
from importlib import import_module

__all__ = ["apparent", "charset", "character_set", "declared", "is_text_encoding"]

_MARKS = (  # the longer first: UTF-32 begins as UTF-16 does
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HEAD = 4096  # bytes of a page that are looked through for what it says of itself; browsers look at 1024 and more
_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
_META = re.compile(rb"<meta\b[^>]*?\bcharset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_XML = re.compile(rb"\s*<\?xml\b[^>]*?\bencoding\s*=\s*[\"']([\w.:-]+)", re.IGNORECASE)
# What browsers take instead of what a page says (WHATWG, Encoding): the larger set, which real pages are in.
_BROWSERS = {
    "iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932",
    "euc_kr": "cp949", "iso8859-9": "cp1254", "tis-620": "cp874", "utf-16": "utf-8", "utf-16-le": "utf-8",
    "utf-16-be": "utf-8", "utf-32": "utf-8",
}  # fmt: skip
_PLAIN = re.compile(r";\s*charset\s*=\s*([\w.:+-]+)\s*(?:;|$)", re.IGNORECASE)
_NO_CHARACTER_SETS = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"})


def character_set(content: bytes, content_type: str) -> str:
    """Return what the text of a body is decoded with: a mark before what is declared, before what the page says."""
    for mark, name in _MARKS:
        if content.startswith(mark):
            return name
    return declared(content_type) or _announced(content[:_HEAD], content_type) or "utf-8"


def apparent(content: bytes, content_type: str = "") -> str:
    """Return a guess from the bytes: UTF-8 where they fit, else what the page says, else charset-normalizer's guess.

    Without that library (the extra `charset`) windows-1252, which fits most of what is left.
    """
    for mark, name in _MARKS:
        if content.startswith(mark):
            return name
    if _fits(content, "utf-8"):
        return "utf-8"
    announced = _announced(content[:_HEAD], content_type)
    return announced if announced and _fits(content, announced) else _guessed(content) or "cp1252"


def declared(content_type: str) -> str | None:
    """Return the declared character set if Python knows it as a text encoding."""
    if (found := _PLAIN.search(content_type)) is not None:
        name = found[1].lower()
    elif "charset" in content_type.lower():
        name = _parsed(content_type)
    else:
        return None
    return name if name and is_text_encoding(name) else None


def _parsed(content_type: str) -> str | None:
    """Return the charset where it is quoted, encoded or continued (RFC 2231)."""
    message = Message()
    try:
        message["Content-Type"] = content_type
        return message.get_content_charset()
    except Exception:  # noqa: BLE001  the field may hold anything, and email's parser raise anything
        return None


def charset(content_type: str) -> str:
    """Return the declared character set if Python knows it as a text encoding, else utf-8."""
    return declared(content_type) or "utf-8"


def is_text_encoding(name: str) -> bool:
    """Whether Python knows it as a character set, and not as a codec of another kind such as "hex"."""
    try:
        b" ".decode(name, "replace")
    except (LookupError, ValueError):
        return False
    return codecs.lookup(name).name.replace("_", "-") not in _NO_CHARACTER_SETS


def _announced(head: bytes, content_type: str) -> str | None:
    """Return what an HTML or XML page says of itself, as browsers read it."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind and "html" not in kind and not kind.endswith("xml"):
        return None
    found = _XML.match(head) or (None if kind.endswith("/xml") else _META.search(_COMMENT.sub(b"", head)))
    name = "" if found is None else found[1].decode("ascii", "replace")
    if not is_text_encoding(name):
        return None
    return _BROWSERS.get(codecs.lookup(name).name, name.lower())


def _fits(content: bytes, name: str) -> bool:
    try:
        content.decode(name)
    except (LookupError, ValueError):
        return False
    return True


def _guessed(content: bytes) -> str | None:
    try:
        library = import_module("charset_normalizer")
    except ImportError:
        return None
    best = library.from_bytes(content).best()
    return None if best is None else str(best.encoding)
