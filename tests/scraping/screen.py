"""A screen of a terminal, as far as the view of a run uses one."""

import re

__all__ = ["screen"]

_PIECES = re.compile(r"\x1b\[(\??[\d;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")


def screen(text: str) -> list[str]:
    """Return the lines that stand on an endless screen once this was written to it, those at its end without text left out."""
    lines, row, column = [""], 0, 0
    for number, code, end, words in _PIECES.findall(text):
        if words:
            lines[row] = lines[row].ljust(column)[:column] + words + lines[row][column + len(words) :]
            column += len(words)
        elif end == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif end == "\r":
            column = 0
        elif code == "A":
            row -= int(number or 1)
            assert row >= 0, "above the first line"
        elif code == "K":
            lines[row] = "" if number == "2" else lines[row][:column]
    while lines and not lines[-1].strip():
        lines.pop()
    return [line.rstrip() for line in lines]
