"""The picture of a request's way: `python docs/tools/way.py` writes docs/inside/way.svg, light and dark in one file."""

from pathlib import Path

__all__ = ["PICTURE", "drawn"]

PICTURE = Path(__file__).parents[1] / "inside" / "way.svg"
_HEAD = (Path(__file__).parents[1] / "inside" / "threads.svg").read_text(encoding="utf-8")
_STYLE = _HEAD[_HEAD.index("<style>") : _HEAD.index("</defs>") + len("</defs>")]

_LEFT, _RIGHT, _WIDTH, _HEIGHT, _STEP, _TOP = 40, 540, 340, 46, 62, 78
_CALLER = (
    ("Client.get", "a Request is made and checked"),
    ("Lane.resolve", "the URL absolute, the deadline set"),
    ("Switchboard.post", "is the pool open? which worker?"),
    ("Inbox.put", "left for the loop, which is rung"),
    ("Blocking.wait", "one lock, until it is opened"),
    ("Response", "finished, frozen, picklable"),
)
_WORKER = (
    ("Dispatcher.drain", "while there are places"),
    ("Scheduler.next", "by priority, rate, limits per host"),
    ("Transport.fetch", "a kept connection, or DNS, connect, TLS"),
    ("Exchange", "send, head, redirects, body within bounds"),
    ("wait_before_retry", "good? again, and after how long?"),
    ("Work.conclude", "decided once; counted; whoever waits is told"),
)


def drawn() -> str:
    """Return the picture."""
    height = _TOP + len(_WORKER) * _STEP + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 920 {height}" width="920" height="{height}" role="img"'
        ' aria-labelledby="t d">',
        '<title id="t">The way of a request</title>',
        "<desc id=\"d\">On the caller's thread a request is made, checked and left in an inbox; on the worker's loop it"
        " gets a place, is sent, read, perhaps tried again, and decided; then the caller goes on.</desc>",
        _STYLE,
        f'<rect class="page" x="0.5" y="0.5" width="919" height="{height - 1}" rx="8"/>',
        *_zone("caller", _LEFT, "the caller's thread", height),
        *_zone("worker", _RIGHT, "the worker's thread: its loop, its sessions", height),
    ]
    for column, steps in ((_LEFT, _CALLER), (_RIGHT, _WORKER)):
        for number, (name, says) in enumerate(steps):
            parts += _box(column, number, name, says)
            if number and (column, number) != (_LEFT, 5):
                parts.append(_down(column, number))
    put, taken = _middle(3), _middle(0)
    told, woken = _middle(5), _middle(4)
    left, right = _LEFT + _WIDTH, _RIGHT
    parts += [
        f'<path class="line" d="M{left} {put} C{left + 90} {put} {right - 90} {taken} {right - 3} {taken}"/>',
        f'<text class="less" x="{(left + right) // 2}" y="{taken - 14}">frozen data,</text>',
        f'<text class="less" x="{(left + right) // 2}" y="{taken + 2}">by a janus queue</text>',
        f'<path class="line back" d="M{right} {told} C{right - 90} {told} {left + 90} {woken} {left + 3} {woken}"/>',
        f'<text class="less" x="{(left + right) // 2}" y="{told + 6}">an answer,</text>',
        f'<text class="less" x="{(left + right) // 2}" y="{told + 22}">or an error</text>',
        _down(_LEFT, 5),
        f'<path class="line back" d="M{right + _WIDTH} {_middle(4)} h9 V{_middle(2)} h-6"/>',
        f'<text class="less" x="{right + _WIDTH // 2}" y="{_TOP - 10}">dashed: back, or once more</text>',
    ]
    return "\n".join([*parts, "</svg>", ""])


def _zone(kind: str, x: int, name: str, height: int) -> list[str]:
    return [
        f'<rect class="{kind}" x="{x - 18}" y="46" width="{_WIDTH + 36}" height="{height - 64}" rx="6"/>',
        f'<text class="head" x="{x + _WIDTH // 2}" y="32">{name}</text>',
    ]


def _box(x: int, number: int, name: str, says: str) -> list[str]:
    y = _TOP + number * _STEP
    return [
        f'<rect class="box" x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="4"/>',
        f'<text class="head" x="{x + _WIDTH // 2}" y="{y + 19}">{name}</text>',
        f'<text class="less" x="{x + _WIDTH // 2}" y="{y + 36}">{says}</text>',
    ]


def _down(x: int, number: int) -> str:
    y = _TOP + (number - 1) * _STEP + _HEIGHT
    return f'<path class="line" d="M{x + _WIDTH // 2} {y} v{_STEP - _HEIGHT - 3}"/>'


def _middle(number: int) -> int:
    return _TOP + number * _STEP + _HEIGHT // 2


if __name__ == "__main__":
    PICTURE.write_text(drawn(), encoding="utf-8")
