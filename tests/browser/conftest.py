"""A headless Chromium from the system's packages, and pages that may ask for nothing but themselves."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

Open = Callable[..., "Page"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    required = os.environ.get("POSEWORKS_REQUIRE_BROWSER") == "1"
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        message = "no Chromium found; install it with the system's package manager (Debian: apt install chromium)"
        pytest.fail(message) if required else pytest.skip(message)
    if not required:
        pytest.importorskip("playwright.sync_api", reason="playwright is not installed (dependency group browser)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """`open_page(path, width=, height=, scheme=, also=)`: the page, ready. Any request but for it fails the test."""
    asked: list[str] = []
    faults: list[str] = []
    contexts = []

    def open_(
        path: Path, width: int = 1280, height: int = 900, scheme: str = "light", also: tuple[Path, ...] = ()
    ) -> Page:
        allowed = {each.resolve().as_uri() for each in (path, *also)}

        def judge(route: Route) -> None:
            address = route.request.url
            if address in allowed or address.startswith(("blob:", "data:")):
                route.continue_()
            else:
                asked.append(address)
                route.abort()

        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        context.route("**/*", judge)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: message.type == "error" and faults.append(message.text))
        page.on("dialog", lambda dialog: (faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.goto(path.resolve().as_uri())
        page.wait_for_selector("body[data-ready]", timeout=60_000)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert asked == [], "the page asked the network for something"
    assert faults == []
