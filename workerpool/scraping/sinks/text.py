"""Text of servers made harmless: for terminals, and for the cells of spreadsheets."""

import re

__all__ = ["cell", "defused"]

# C0 and DEL, C1, what turns the direction of writing, line and paragraph separators, what is drawn as nothing (zero
# width, tags, soft hyphen, word joiner), interlinear marks, half characters and private non-characters.
_HARMFUL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_SPACES = re.compile("[\t\n\v\f\r\x85\u2028\u2029]+")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_MARK = "\ufffd"


def defused(text: str) -> str:
    """Return the text on one line, with nothing in it that steers a terminal or misleads the eye.

    Runs of tabs and line ends become a space; escape sequences lose their ESC or C1 byte, controls of the writing's
    direction and characters that show nothing become U+FFFD.
    """
    return text if text.isascii() and text.isprintable() else _HARMFUL.sub(_MARK, _SPACES.sub(" ", text))


def cell(text: str) -> str:
    """Return the text as one cell of a spreadsheet: on one line, and never a formula.

    What begins as a formula does, with = + - @ (also in full width), a tab or a line end, also behind spaces, gets an
    apostrophe before it. Control characters become U+FFFD, tabs and line ends a space.
    """
    if text.isalnum():
        return text
    shown = _CONTROL.sub(_MARK, _SPACES.sub(" ", text))
    return f"'{shown}" if text.lstrip(" ").startswith(_FORMULA) or shown.lstrip().startswith(_FORMULA) else shown
