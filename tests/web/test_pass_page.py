"""The page behind the link: who is shown what, what it leaves as evidence, and what a wrong link gets."""

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from zipfile import ZipFile

import pytest
from sqlalchemy import select, update

from app.passes import trace
from app.passes.issue import make_link, reissue, set_state
from app.passes.models import Pass, PassLink
from app.web.pass_page import Visitor, visitor
from tests.make import NOON, make_issued

SQLITE = pytest.mark.parametrize("database", ["sqlite"])
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
IPHONE = f"{SAFARI} Version/26.0 Mobile/15E148 Safari/604.1"
ANDROID = "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Mobile Safari/537.36"  # noqa: E501
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15"  # noqa: E501
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36"  # noqa: E501


@pytest.mark.parametrize(
    ("user_agent", "shown"),
    [
        (IPHONE, Visitor("apple", in_app=False)),
        (IPHONE.replace("Version/26.0", "CriOS/130.0"), Visitor("apple", in_app=False)),
        (IPHONE.replace("iPhone", "iPad"), Visitor("apple", in_app=False)),
        (f"{SAFARI} Mobile/15E148", Visitor("apple", in_app=True)),
        (f"{SAFARI} Mobile/15E148 [FBAN/FBIOS;FBAV/500.0]", Visitor("apple", in_app=True)),
        (f"{IPHONE} Instagram 350.0", Visitor("apple", in_app=True)),
        (f"{SAFARI} Mobile/15E148 VKClient/8.0", Visitor("apple", in_app=True)),
        (f"{SAFARI} Mobile/15E148 MicroMessenger/8.0", Visitor("apple", in_app=True)),
        (ANDROID, Visitor("android", in_app=False)),
        (ANDROID.replace("Pixel 9", "Pixel 9; wv"), Visitor("android", in_app=True)),
        (f"{ANDROID} Instagram 350.0", Visitor("android", in_app=True)),
        (MAC, Visitor("desktop", in_app=False, is_mac=True)),
        (WINDOWS, Visitor("desktop", in_app=False)),
        ("curl/8.0", Visitor("desktop", in_app=False)),
        ("", Visitor("desktop", in_app=False)),
        ("\x00" * 10_000, Visitor("desktop", in_app=False)),
    ],
)
def test_a_visitor_is_known_by_the_browsers_name(user_agent, shown):
    assert visitor(user_agent) == shown


@dataclass
class Link:
    issued: Pass
    token: str

    @property
    def page(self) -> str:
        return f"/p/{self.token}"

    @property
    def card(self) -> str:
        return f"{self.page}/card.pkpass"


@pytest.fixture
async def link(services) -> Link:
    async with services.sessions.begin() as session:
        issued = await make_issued(session, name="Anna")
        return Link(issued, await make_link(session, issued, now=NOON))


async def story(services, link) -> list[tuple[str, int | None]]:
    async with services.sessions() as session:
        return [(line.kind, line.version) for line in await trace.story(session, link.issued.id)]


@SQLITE
async def test_each_device_is_told_how_the_card_gets_onto_it(client, link):
    async def shown(user_agent):
        page = await client.get(link.page, headers={"User-Agent": user_agent})
        assert page.status_code == 200
        marks = {
            "wallet": "wallet-button",
            "android": "WalletPasses",
            "qr": 'class="qr"',
            "copy": "data-copy=",
        }
        return {name for name, mark in marks.items() if mark in page.text}

    assert await shown(IPHONE) == {"wallet"}
    assert await shown(ANDROID) == {"android"}
    assert await shown(WINDOWS) == {"qr"}
    assert await shown(MAC) == {"qr", "wallet"}
    assert await shown(f"{IPHONE} Instagram 350.0") == {"copy"}


@SQLITE
async def test_the_page_is_kept_by_nobody_and_tells_nobody_its_address(client, link):
    page = await client.get(link.page, headers={"User-Agent": IPHONE})

    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert '<meta name="robots" content="noindex">' in page.text
    assert not re.search(r'(?:src|href)="https?://', page.text)


async def test_opening_and_downloading_leave_evidence_and_a_head_request_none(services, client, link):
    for path in (link.page, link.card):
        assert (await client.head(path)).status_code == 200
    before = await story(services, link)
    for path in (link.page, link.page, link.card):
        assert (await client.get(path, headers={"User-Agent": IPHONE})).status_code == 200

    assert before == [("issued", 1)]
    assert await story(services, link) == [
        ("issued", 1),
        ("link_opened", None),
        ("link_opened", None),
        ("downloaded", 1),
    ]
    async with services.sessions() as session:
        assert (await session.scalars(select(PassLink.opened_at))).one() == NOON


@SQLITE
async def test_the_downloaded_card_is_a_pass_that_nobody_keeps(client, link):
    answer = await client.get(link.card)

    assert answer.headers["content-type"] == "application/vnd.apple.pkpass"
    assert answer.headers["content-disposition"] == 'attachment; filename="card.pkpass"'
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["last-modified"]
    with ZipFile(BytesIO(answer.content)) as archive:
        assert json.loads(archive.read("pass.json"))["serialNumber"] == link.issued.serial_number


@SQLITE
async def test_the_pictures_of_the_preview_are_there_and_no_others(client, link):
    page = await client.get(link.page)
    found = re.search(r'<script type="application/json" id="card-data">(.*?)</script>', page.text, re.S)
    assert found
    images = json.loads(found[1])["images"]

    answers = [await client.get(url) for url in images.values()]

    assert answers
    assert {(each.status_code, each.headers["content-type"]) for each in answers} == {(200, "image/png")}
    assert all(each.content.startswith(b"\x89PNG") for each in answers)
    for name in ("nothing", "..%2f..%2fpass.json", "%00"):
        assert (await client.get(f"{link.page}/images/{name}")).status_code == 404


@SQLITE
async def test_a_voided_card_is_shown_as_no_longer_valid(services, client, link):
    async with services.sessions.begin() as session:
        await set_state(session, link.issued.program_id, link.issued.id, "voided", reason="lost", now=NOON)

    page = await client.get(link.page, headers={"User-Agent": IPHONE})

    assert "This card is no longer valid" in page.text
    assert "wallet-button" not in page.text


async def test_a_link_that_leads_nowhere_is_a_page_that_says_so(services, client, clock, link):
    async with services.sessions.begin() as session:
        expired = await make_link(session, link.issued, now=NOON)
        await session.execute(update(PassLink).values(expires_at=NOON + timedelta(days=1)))
        revoked = Link(link.issued, await make_link(session, link.issued, now=NOON))
        await reissue(session, link.issued.program_id, link.issued.id, reason="lost", now=NOON)
    clock.tick(2 * 86_400)

    unknown = ["a", "x" * 22, "x" * 5000, "%00", "%F0%9F%98%80"]
    paths = [f"/p/{each}" for each in (expired, *unknown)] + [
        revoked.page,
        revoked.card,
        f"{link.page}/images/icon",
    ]
    answers = [await client.get(path, headers={"Accept-Language": "ru"}) for path in paths]

    assert {each.status_code for each in answers} == {404}
    assert {each.headers["content-type"] for each in answers} == {"text/html; charset=utf-8"}
    assert "Ссылка больше не работает" in answers[-1].text
    assert {each.content for each in answers if "больше не работает" in each.text} == {answers[-1].content}


@SQLITE
async def test_what_a_person_wrote_is_text_on_the_page(services, client):
    async with services.sessions.begin() as session:
        issued = await make_issued(session, name="</script><script>alert(1)</script>")
        token = await make_link(session, issued, now=NOON)

    page = await client.get(f"/p/{token}")

    assert "<script>alert" not in page.text
