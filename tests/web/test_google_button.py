"""Google Wallet on the pass page: offered when Google has the card, to those who can use it; its pictures."""

import re
from urllib.parse import urlsplit

import jwt
import pytest
from sqlalchemy import select

from app.passes import google_objects
from app.passes.issue import make_link
from app.passes.models import Pass
from app.settings import Settings
from app.simulators.google_wallet import ISSUER_ID
from app.wallets.google.images import HostedImages, stamps_hero
from tests.google import CLASS_ID, key_pair, write_account
from tests.make import NOON, make_account, make_issued, make_program
from tests.web.test_pass_page import ANDROID, IPHONE, WINDOWS

pytestmark = pytest.mark.parametrize("database", ["sqlite"])


@pytest.fixture
def app_settings(app_settings: Settings, tmp_path) -> Settings:
    """The settings of every test, with a Google issuer."""
    return app_settings.model_copy(
        update={
            "google_issuer_id": ISSUER_ID,
            "google_service_account_path": write_account(tmp_path, "http://127.0.0.1:1"),
        }
    )


async def issue(services, *, country: str = "KZ", is_known: bool = True) -> tuple[str, str]:
    """A pass that Google has, or has not yet: its page and its serial number."""
    async with services.sessions.begin() as session:
        program = await make_program(session, country=country)
        issued = await make_issued(session, await make_account(session, program))
        object_ = {"id": services.google.object_id(issued.serial_number), "classId": CLASS_ID}
        if is_known:
            await google_objects.record_sent(
                session, issued, resource="loyaltyObject", body=object_, has_users=False, now=NOON
            )
        return f"/p/{await make_link(session, issued, now=NOON)}", issued.serial_number


async def offered(client, page: str, user_agent: str) -> str | None:
    """The address behind the Google button of a page."""
    answer = await client.get(page, headers={"User-Agent": user_agent})
    assert answer.status_code == 200
    found = re.search(r'class="google-button" href="([^"]+)"', answer.text)
    return found[1] if found else None


def claims_of(link: str) -> dict:
    """What a save link says, signed by our key. Its date is the test's clock's."""
    return jwt.decode(
        link.rsplit("/", 1)[1],
        key_pair().public,
        algorithms=["RS256"],
        audience="google",
        options={"verify_iat": False},
    )


@pytest.mark.parametrize(("user_agent", "is_offered"), [(ANDROID, True), (WINDOWS, True), (IPHONE, False)])
async def test_the_button_saves_the_very_object_google_has(services, client, user_agent, is_offered):
    page, serial_number = await issue(services)

    link = await offered(client, page, user_agent)

    assert (link is not None) == is_offered
    if link:
        claims = claims_of(link)
        (named,) = claims["payload"]["loyaltyObjects"]
        assert named["id"] == f"{ISSUER_ID}.{serial_number}"
        assert named["classId"] == CLASS_ID


async def test_a_card_google_does_not_have_yet_waits_and_then_has_its_button(services, client):
    page, serial_number = await issue(services, is_known=False)

    waiting = await client.get(page, headers={"User-Agent": ANDROID})
    assert "on its way to Google Wallet" in waiting.text
    assert await offered(client, page, ANDROID) is None
    assert await offered(client, page, WINDOWS) is None
    assert (await client.get(f"{page}/google")).status_code == 204

    async with services.sessions.begin() as session:
        issued = (await session.scalars(select(Pass))).one()
        object_ = {"id": services.google.object_id(serial_number), "classId": CLASS_ID}
        await google_objects.record_sent(
            session, issued, resource="loyaltyObject", body=object_, has_users=False, now=NOON
        )

    ready = await client.get(f"{page}/google")
    assert ready.status_code == 200
    assert ready.headers["cache-control"] == "no-store"
    assert ready.json()["save_link"].startswith("https://pay.google.com/gp/v/save/")


async def test_where_google_wallet_is_not_offered_the_pkpass_is(services, client):
    page, _ = await issue(services, country="RU")

    answer = await client.get(page, headers={"User-Agent": ANDROID})

    assert "google" not in answer.text.lower().replace("google-button{", "")
    assert f'href="{page}/card.pkpass"' in answer.text
    assert (await client.get(f"{page}/google")).status_code == 204


async def test_the_button_speaks_the_readers_language(services, client):
    page, _ = await issue(services)

    english, russian = [
        (await client.get(f"{page}?lang={language}", headers={"User-Agent": ANDROID})).text
        for language in ("en", "ru")
    ]

    assert "Add to Google Wallet" in english
    assert "Добавить в Google Кошелек" in russian


async def test_a_picture_is_served_by_its_hash_for_ever_by_any_process(services, client):
    template = services.templates["stamps"]
    address = HostedImages("http://test", {}).url(stamps_hero(template, 7))
    path = urlsplit(address).path

    answer = await client.get(path)

    assert answer.content == stamps_hero(template, 7)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    for wrong in (path.replace(path[10], "g"), "/images/..%2fsecret.png", f"/images/{'0' * 64}.png"):
        assert (await client.get(wrong)).status_code == 404


async def test_googles_own_artwork_takes_the_place_of_the_drawn_button(services, client, tmp_path):
    page, _ = await issue(services)
    (tmp_path / "buttons").mkdir()
    for language in ("en", "kk"):
        (tmp_path / "buttons" / f"{language}.svg").write_text(f"<svg>{language}</svg>")
    services.settings.google_buttons_dir = tmp_path / "buttons"

    russian = (await client.get(f"{page}?lang=ru", headers={"User-Agent": ANDROID})).text
    found = re.search(r'<img src="(/images/google-button/[^"]+)"', russian)
    assert found
    picture = await client.get(found[1])

    assert (picture.text, picture.headers["content-type"]) == ("<svg>en</svg>", "image/svg+xml")
    assert 'alt="Добавить в Google Кошелек"' in russian
    for wrong in ("fr", "..%2fgoogle", "EN"):
        assert (await client.get(f"/images/google-button/{wrong}.svg")).status_code == 404
