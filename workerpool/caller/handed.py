"""Requests handed over one by one, whose answers come to one place in bulk: for code that keeps its own accounts."""

from collections.abc import Callable
from contextvars import Context
from typing import Any

from ..handover.errand import Fetch
from ..handover.job import Work
from ..handover.work import Verdict
from ..lane import Lane
from ..messages.request import Request

__all__ = ["Handed"]


class Handed(Work):
    """The Work whose way back is one call for all: `told(work)`, on whichever thread has decided it.

    That may come twice, after an interrupt. Its time begins with its place.
    """

    def __init__(
        self, lane: Lane, pool: object, request: Request, context: Context | None, tag: Any,
        told: "Callable[[Handed], object]",
    ) -> None:  # fmt: skip
        errand = Fetch(request, lane.resolve(request))
        super().__init__(lane.name, pool, errand, lane.timeout_for(request), context, request.priority, True)
        self.tag = tag
        self._told = told

    def _tell(self, verdict: Verdict) -> None:
        self._told(self)
