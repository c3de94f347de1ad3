"""Take every picture again: those of docs/images, and each page in both languages and widths, to look at.

    make screenshots

A fresh demo is started for it: its members and cards stand on the pictures. The pages go to screenshots/,
which Git ignores: `en-1280-console-members.webp`.
"""

import io
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from app.web.console.pages import MENU
from tests.browser.desk import DeskPhone, desk

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
PAGES = ROOT / "screenshots"
WIDTHS = (390, 1280)
LANGUAGES = ("en", "ru")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
NUMBER = "+7 916 555-20-26"
BYTES_MAX = 300_000


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    PAGES.mkdir(exist_ok=True)
    with demo() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        link = shoot_desk(browser, url)
        shoot_form(browser, url)
        shoot_pass_page(browser, link)
        shoot_console(browser, url)
        shoot_every_page(browser, url, link)
        browser.close()


@contextmanager
def demo() -> Iterator[str]:
    """The demo in a process of its own; its address."""
    with tempfile.TemporaryDirectory(prefix="passbell-screenshots-") as folder:
        command = [sys.executable, "-c", "from app.cli import main; main()", "demo", "--port", "0"]
        with subprocess.Popen(  # noqa: S603  our own demo
            [*command, "--data", folder], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            try:
                yield process.stdout.readline().split()[-1]
            finally:
                process.terminate()
                process.communicate()


def shoot_console(browser: Browser, url: str) -> None:
    """The figures, and a member with everything that happened."""
    page = browser.new_page(viewport={"width": 1280, "height": 900}, device_scale_factor=1.5)
    page.goto(f"{url}/demo/console/owner")
    page.goto(f"{url}/console?lang=en")
    save(page, IMAGES / "console-home.webp")
    page.goto(f"{url}{member_of(page, url)}?lang=en")
    save(page, IMAGES / "console-member.webp")


def member_of(page: Page, url: str) -> str:
    """The path of the newest member's page."""
    page.goto(f"{url}/console/members")
    return page.locator("tbody a").first.get_attribute("href") or ""


def shoot_every_page(browser: Browser, url: str, link: str) -> None:
    """Each page in each language at each width."""
    public = {
        "desk": "/demo",
        "form": "/join/coffee",
        "sign-in": "/console/sign-in",
        "docs": "/docs",
        "pass": link.removeprefix(url),
    }
    for language in LANGUAGES:
        for width in WIDTHS:
            page = browser.new_page(viewport={"width": width, "height": 900})
            for name, path in public.items():
                page.goto(f"{url}{path}?lang={language}")
                save(page, PAGES / f"{language}-{width}-{name}.webp", full_page=True)
            page.goto(f"{url}/demo/console/owner")
            paths = [path for path, _, _ in MENU]
            paths += ["/console/account", "/console/campaigns/new", member_of(page, url)]
            for path in paths:
                page.goto(f"{url}{path}?lang={language}")
                name = "console-member" if "/mem_" in path else path.strip("/").replace("/", "-")
                save(page, PAGES / f"{language}-{width}-{name}.webp", full_page=True)
            page.close()


def shoot_desk(browser: Browser, url: str) -> str:
    """A mother and her child share a balance, and all their phones have just rung; the link to her card."""
    page = browser.new_page(viewport={"width": 1280, "height": 1000}, device_scale_factor=1.5)
    page.goto(f"{url}/demo?lang=en")
    mother, child, till = desk(page)
    android = DeskPhone(page, "three")
    mother.join("coffee", "Anna Morozova", NUMBER)
    expect(mother.banner).to_be_visible()
    link = mother.texts().last.locator(".link").inner_text()
    mother.add_from_newest_text()
    expect(mother.points("Anna Morozova")).to_have_text("50")
    mother.forward_newest_text(android)
    child.join("coffee", "Timur Morozov", NUMBER)
    expect(mother.texts()).to_have_count(2)
    mother.texts().last.locator(".forward").click()
    child.add_from_newest_text()
    expect(child.points("Timur Morozov")).to_have_text("50")
    till.scan("Anna Morozova")
    expect(page.locator("#trace")).to_contain_text("wallet google")  # Google has said that somebody holds it
    mother.open("wallet")
    child.open("lock")
    till.buy("4200.00")
    expect(child.root.locator(".lock-list .words").first).to_contain_text("260")
    expect(mother.banner).to_contain_text("260")
    expect(page.locator("#waterfall .step-fetched .ms")).to_be_visible()
    expect(page.locator("#trace")).to_contain_text("notify rings")
    page.mouse.move(0, 0)
    save(page, IMAGES / "demo-desk.webp", full_page=True)
    return link


def shoot_form(browser: Browser, url: str) -> None:
    page = phone_page(browser, f"{url}/join/coffee?lang=en")
    page.locator("#name").fill("Anna Morozova")
    page.locator("#phone").fill(NUMBER)
    page.get_by_text("Cappuccino").click()
    page.locator("#consent_personal_data").check()
    page.locator("h1").click()
    save(page, IMAGES / "form.webp", full_page=True)


def shoot_pass_page(browser: Browser, link: str) -> None:
    page = phone_page(browser, f"{link}?lang=en&as=iPhone+Safari/")
    expect(page.locator("pass-preview .primary .value")).to_be_visible()
    save(page, IMAGES / "pass-page.webp")


def phone_page(browser: Browser, address: str) -> Page:
    page = browser.new_page(viewport={"width": 390, "height": 844}, device_scale_factor=2)
    page.goto(address)
    return page


def save(page: Page, target: Path, *, full_page: bool = False) -> None:
    """Shoot when the pictures and fonts are there."""
    page.evaluate("document.fonts.ready")
    page.wait_for_load_state("load")
    shot = Image.open(io.BytesIO(page.screenshot(full_page=full_page, animations="disabled")))
    shot.convert("RGB").save(target, quality=88, method=6)
    size = target.stat().st_size
    print(f"{target.name}: {shot.width} x {shot.height}, {size} bytes")  # noqa: T201  a script for people
    if target.parent == IMAGES and size > BYTES_MAX:
        sys.exit(f"{target.name} is larger than {BYTES_MAX} bytes")


if __name__ == "__main__":
    main()
