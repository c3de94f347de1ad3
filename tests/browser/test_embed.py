"""The form on the brand's own site: another origin shows it in a frame, and somebody joins there."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx2
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PHONE, OpenPage
from tests.browser.desk import Demo

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture
def site(demo: Demo) -> Iterator[str]:
    """A page of the school's own, on another host name and port than the demo's."""
    line = f'<script src="{demo.url}/static/embed.js" data-form="school" data-lang="ru" async></script>'
    head = '<!doctype html><meta charset="utf-8"><title>Школа</title><link rel="icon" href="data:,">'
    html = f"{head}<body>{line}"

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://localhost:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("viewport", [PHONE])
def test_somebody_joins_on_the_schools_own_site(
    open_page: OpenPage, demo: Demo, site: str, number: str
) -> None:
    page = open_page(site)
    frame = page.frame_locator("iframe")

    frame.locator("#name").fill("Вера с сайта")
    frame.locator("#phone").fill(number)
    frame.locator("input[type=radio]").first.check()
    for consent in frame.locator("input[type=checkbox][required]").all():
        consent.check()
    tall = page.locator("iframe").bounding_box()
    frame.locator("button[type=submit]").click()

    expect(frame.locator("main")).to_contain_text("Карта уже в пути")
    headers = {"Authorization": f"Bearer {demo.key('school')}"}
    with httpx2.Client(base_url=f"{demo.url}/api/v1", headers=headers, trust_env=False) as api:
        members = api.get("/members", params={"phone": number}).json()["data"]
        texts = api.get("/messages", params={"member_id": members[0]["id"]}).json()["data"]
    assert [each["name"] for each in members] == ["Вера с сайта"]
    assert [each["purpose"] for each in texts] == ["pass_link"]
    assert tall is not None
    assert tall["height"] > 640  # the form's own height, not the frame's first guess
