"""A real browser, headless, on the service's page: what it said, what it asked for, and pictures of what it shows."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Request, sync_playwright

__all__ = ["CHROMIUM", "Tab", "browser", "tab"]

CHROMIUM = shutil.which("chromium")
_PATIENCE = 30_000  # milliseconds; only what hangs takes longer


@dataclass
class Tab:
    """A page of the browser, and all that it has done that it should not."""

    page: Page
    context: BrowserContext
    said: list[str] = field(default_factory=list)  # errors of scripts, warnings, what a policy has refused
    dialogs: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def note_message(self, message: ConsoleMessage) -> None:
        """Keep what the console was told."""
        if message.type in ("error", "warning"):
            self.said.append(message.text)

    def note_dialog(self, dialog: Dialog) -> None:
        """Keep what a script wanted to say aloud."""
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def note_request(self, request: Request) -> None:
        """Keep what was asked for."""
        self.asked.append(request.url)


@contextmanager
def browser() -> Iterator[Browser]:
    """Have a browser for a block."""
    assert CHROMIUM is not None
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-quic"])
        try:
            yield found
        finally:
            found.close()


@contextmanager
def tab(browser: Browser, base: str, *, width: int = 1280, dark: bool = False, **options: Any) -> Iterator[Tab]:
    """Have a tab with a profile of its own, for a block."""
    context = browser.new_context(
        base_url=base, viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light",
        has_touch=width < 600, is_mobile=width < 600, **options,
    )  # fmt: skip
    context.set_default_timeout(_PATIENCE)
    page = context.new_page()
    found = Tab(page, context)
    page.on("console", found.note_message)
    page.on("pageerror", lambda error: found.said.append(str(error)))
    page.on("dialog", found.note_dialog)
    page.on("request", found.note_request)
    try:
        yield found
    finally:
        context.close()
