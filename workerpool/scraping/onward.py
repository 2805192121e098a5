"""Where a redirect leads an item."""

from dataclasses import replace

from multidict import CIMultiDict
from yarl import URL

from ..messages.hop import Hop
from ..messages.redirects import REDIRECTS, next_hop
from ..messages.response import Response
from .item import Item

__all__ = ["onward"]


def onward(item: Item, answer: Response) -> Item | None:
    """Return what is to be asked for next, None where the answer leads nowhere else.

    The rules are those of every redirect of the pool: no secret and no body goes to another origin. Raises
    ProtocolError or InvalidRequest for what is not followed.
    """
    if answer.status_code not in REDIRECTS:
        return None
    hop = Hop(item.method, URL(item.url, encoded=True), CIMultiDict(item.headers), item.body)
    following = next_hop(hop, answer.status_code, answer.headers)
    if following is None:
        return None
    body = following.body if isinstance(following.body, bytes) else None
    headers = tuple((str(name), value) for name, value in following.headers.items())
    return replace(item, url=str(following.url), method=following.method, headers=headers, body=body)
