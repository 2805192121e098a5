"""The routes of the page together."""

from fastapi import FastAPI

from ..service import Service
from . import job, jobs, lanes, overview, session, submit
from .pulse import Pulse
from .seals import Seals

__all__ = ["add_page"]


def add_page(app: FastAPI, service: Service) -> None:
    """Have the application show its page."""
    app.state.seals, app.state.pulse = Seals(service.store), Pulse(service.store)
    for each in (session, overview, jobs, job, lanes, submit):
        app.include_router(each.router)
