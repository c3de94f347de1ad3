"""The browser tests: Debian's Chromium looks at the real demo, one process for all tests of this folder.

Playwright's synchronous API keeps an event loop running in its thread, so it ends with this package: tests
elsewhere bring loops of their own. What a page logs as an error, and every breach of its content policy,
fails the test that opened it.
"""

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.browser.desk import Demo, Viewport

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PHONE = Viewport("phone", 390, 844)
DESKTOP = Viewport("desktop", 1280, 800)
PATIENCE_MS = 20_000  # of a locator: the machine of the tests may be busy
START_SECONDS = 60

# Chromium logs every answer of 4xx as a failed resource: a form shown again, a card with too few points.
REFUSAL = re.compile(r"status of (409|422) ")
NO_NETWORK = re.compile(r"net::ERR_(FAILED|INTERNET_DISCONNECTED)")

SLOW_STATEMENT = "kept the event loop"

OpenPage = Callable[..., Page]


@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """`passbell demo` as anyone starts it, on a free port."""
    folder = tmp_path_factory.mktemp("demo")
    command = "from app.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", command, "demo", "--port", "0", "--data", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        first_line = process.stdout.readline()
        assert first_line.startswith("Passbell is ready: http://"), process.communicate(timeout=5)
        yield Demo(first_line.split()[-1], process.pid)
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=START_SECONDS)
    # Warnings and errors of the whole run; how long a statement took is the machine's affair.
    assert [line for line in errors.splitlines() if SLOW_STATEMENT not in line] == []


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists() and os.environ.get("CI") != "true":
        pytest.skip(f"{CHROMIUM} is not there: apt-get install chromium")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(params=[PHONE, DESKTOP], ids=lambda viewport: viewport.name)
def viewport(request: pytest.FixtureRequest) -> Viewport:
    """Both sizes; a test for one only overrides it: parametrize("viewport", [PHONE])."""
    return request.param


@pytest.fixture
def open_page(browser: Browser, demo: Demo, viewport: Viewport) -> Iterator[OpenPage]:
    """Open a path of the demo in a fresh browser profile: open_page("/demo?lang=ru")."""
    contexts: list[BrowserContext] = []
    troubles: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not REFUSAL.search(message.text):
            troubles.append(message.text)

    def note_but_the_network(message: ConsoleMessage) -> None:
        if not NO_NETWORK.search(message.text):
            note(message)

    def open_path(
        path: str, *, user_agent: str | None = None, bypass_csp: bool = False, goes_offline: bool = False
    ) -> Page:
        context = browser.new_context(
            base_url=demo.url,
            viewport={"width": viewport.width, "height": viewport.height},
            user_agent=user_agent,
            bypass_csp=bypass_csp,
            reduced_motion="reduce",
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        context.on("console", note_but_the_network if goes_offline else note)
        context.on("weberror", lambda error: troubles.append(str(error.error)))
        page = context.new_page()
        page.goto(path)
        return page

    yield open_path
    for context in contexts:
        context.close()
    assert troubles == []


_numbers = itertools.count(1000)


@pytest.fixture
def number() -> str:
    """A Russian mobile number that no other test uses, as people write it."""
    # The simulated SMS gateway refuses numbers that end in 00 to 03.
    found = next(each for each in _numbers if each % 100 > 3)
    return f"8 (916) 555-{found // 100}-{found % 100:02d}"
