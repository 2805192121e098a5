"""A webhook's message as it is sent, and what its answer means. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook

from ...messages.request import Request
from ...scraping.hosts import retry_after_seconds
from ..records import Delivery
from .keyring import Secret
from .schedule import delay_after

__all__ = ["TIMEOUT", "request_of", "verdict_of"]

TIMEOUT = 20.0  # seconds
_GONE = 410


def request_of(delivery: Delivery, secrets: Sequence[Secret], now: float, headers: dict[str, str]) -> Request:
    """Return the request: signed by each secret that counts, so that receivers may change theirs in their own time."""
    moment = datetime.fromtimestamp(int(now), UTC)
    signatures = [Webhook(each.secret).sign(delivery.id, moment, delivery.payload) for each in secrets]
    own = {
        "Content-Type": "application/json",
        "webhook-id": delivery.id,
        "webhook-timestamp": str(int(now)),
        "webhook-signature": " ".join(signatures),
    }
    return Request(
        "POST", delivery.url, data=delivery.payload.encode(), headers={**headers, **own}, timeout=TIMEOUT,
        allow_redirects=False, retry=None,
    )  # fmt: skip


def verdict_of(delivery: Delivery, now: float, status: int | None, retry_after: str | None) -> tuple[str, float | None]:
    """Return the delivery's state after a try, and when it is tried next: 2xx is taken, 410 is never tried again."""
    if status is not None and 200 <= status < 300:
        return "delivered", None
    if status == _GONE:
        return "disabled", None
    asked = retry_after_seconds(retry_after, now=now)
    delay = delay_after(delivery.id, delivery.failed + 1, asked)
    return ("failed", None) if delay is None else ("waiting", now + delay)
