"""The card as a page: what it says, what a phone needs to keep it, and who may see it."""

import json
import re

import pytest
from sqlalchemy import update

from app.members.models import Account
from app.passes.issue import make_link, set_state
from app.passes.models import Pass
from app.passes.versions import mark_changed
from app.wallets.images import read_png
from tests.make import NOON, make_account, make_issued
from tests.web.test_pass_page import ANDROID, IPHONE

pytestmark = pytest.mark.parametrize("database", ["sqlite"])


@pytest.fixture
async def issued(services) -> Pass:
    async with services.sessions.begin() as session:
        account = await make_account(session, balance=1240)
        return await make_issued(session, account, name="Anna <b>")


@pytest.fixture
async def card(services, issued) -> str:
    """The address of the card."""
    async with services.sessions.begin() as session:
        return f"/p/{await make_link(session, issued, now=NOON)}/card"


async def test_the_card_says_everything_in_the_readers_language_without_a_script(client, card):
    english = (await client.get(f"{card}?lang=en")).text
    russian = (await client.get(f"{card}?lang=ru")).text

    for page in (english, russian):
        assert "Anna &lt;b&gt;" in page
        assert "<svg" in page  # the barcode
    assert "1,240" in english
    assert "1\N{NO-BREAK SPACE}240" in russian
    assert "How it works" in english
    assert "Как это работает" in russian


async def test_the_page_keeps_to_the_strict_policy_and_to_itself(client, card):
    answer = await client.get(card)

    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "'unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"<style|style=|onclick=|<script>", answer.text)
    assert not re.search(r'(?:src|href)="https?://', answer.text)


async def test_a_phone_finds_what_it_needs_to_keep_the_card(client, card):
    page = (await client.get(card)).text
    manifest = await client.get(f"{card}/manifest.webmanifest")
    described = json.loads(manifest.content)

    assert f'rel="manifest" href="{card}/manifest.webmanifest"' in page
    assert manifest.headers["content-type"] == "application/manifest+json"
    assert described["start_url"] == card
    assert card.startswith(described["scope"])
    assert described["display"] == "standalone"
    assert described["theme_color"] == "#3b2418"
    for icon in described["icons"]:
        answer = await client.get(icon["src"])
        assert "{}x{}".format(*read_png(answer.content)) == icon["sizes"]
    theme = re.search(r'href="([^"]+theme\.css[^"]*)"', page)
    assert theme
    assert (await client.get(theme[1])).text == ":root{--card:#3b2418;--on-card:#fff6e9;--label:#d9b48f}"
    worker = await client.get(card.replace("/card", "/worker.js"))
    assert worker.headers["content-type"].startswith("text/javascript")


async def test_an_open_page_learns_of_a_change_by_the_version(services, client, card, issued):
    assert 'data-version="1"' in (await client.get(card)).text
    assert (await client.get(f"{card}/version")).text == "1"

    async with services.sessions.begin() as session:
        await session.execute(update(Account).values(balance=1300))
        await mark_changed(session, issued.program_id, [issued.id], because={}, now=NOON)

    assert (await client.get(f"{card}/version")).text == "2"
    assert "1,300" in (await client.get(f"{card}?lang=en")).text


async def test_a_voided_card_says_so(services, client, card, issued):
    async with services.sessions.begin() as session:
        await set_state(session, issued.program_id, issued.id, "voided", reason="lost", now=NOON)

    page = (await client.get(f"{card}?lang=en")).text

    assert "no longer valid" in page
    assert 'class="card voided"' in page


async def test_a_link_that_leads_nowhere_leads_to_no_card(client):
    token = "x" * 22
    for path in ("card", "card/version", "card/theme.css", "card/manifest.webmanifest", "card/icon-192.png"):
        assert (await client.get(f"/p/{token}/{path}")).status_code == 404
    assert (await client.get("/p/x/card/icon-7.png")).status_code == 404


async def test_the_pass_page_offers_the_card_to_androids(client, card):
    page = card.removesuffix("/card")

    assert f'href="{card}"' in (await client.get(page, headers={"User-Agent": ANDROID})).text
    assert f'href="{card}"' not in (await client.get(page, headers={"User-Agent": IPHONE})).text
