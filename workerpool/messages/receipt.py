"""Where the body of an answer is, if it did not come along: what a store of a cluster gives in its place."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from .response import Response

__all__ = ["BodyStore", "PlainReceipt", "Receipt"]

PlainReceipt: TypeAlias = tuple[Any, ...]  # as it travels: text and numbers


class Receipt(NamedTuple):
    """Tell where a worker has put a body: the `url`, its `size` in bytes, and its `sha256` in hexadecimal digits.

    Of an archive, `length` bytes from `offset` on are the record of the answer.
    """

    url: str
    size: int
    sha256: str
    offset: int | None = None
    length: int | None = None


class BodyStore(Protocol):
    """What a DaskPool takes as its store: pickled for the workers, whose threads call it, so that it may block.

    Answers are put together: until there are `answers` of them or `size` bytes of bodies, `pause` seconds have gone, or
    they are half of what the worker has.
    """

    @property
    def answers(self) -> int:
        """How many are put at once."""

    @property
    def size(self) -> int:
        """Bytes of bodies that are put at once."""

    @property
    def pause(self) -> float:
        """Seconds that an answer waits for others."""

    def takes(self, answer: Response) -> bool:
        """Whether its body is for the store; what is not travels."""

    def check(self) -> None:
        """Raise an error where nothing can be put."""

    def put(self, answers: Sequence[Response]) -> Sequence[PlainReceipt]:
        """Put the bodies of some answers, and return a receipt for each; all are kept then, or it raises an error."""

    def receipt(self, plain: PlainReceipt) -> Receipt:
        """Return the receipt that a worker tells of. On the client, which does not trust it."""

    def read(self, receipt: Receipt) -> bytes:
        """Return a body; raises an error where it is not there any more, or another one."""
