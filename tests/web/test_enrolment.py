"""The enrolment form through the front door: what a person, a robot and an attacker are answered."""

import re
from urllib.parse import urlencode

import httpx2
import pytest
import structlog
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import func, select

from app.enrolment.forms import Site
from app.enrolment.models import Form, SpentChallenge, Submission
from app.members.models import Consent, Member, Message, Notice
from app.settings import Settings
from tests.enrolment.test_forms import DEFINITION
from tests.enrolment.test_proof import solve
from tests.make import NOON, make_program

FILLED = {
    "name": "Anna",
    "phone": "8 912 345-67-89",
    "goal": "to win",
    "drink": "tea",
    "consent_personal_data": "v2",
}
SQLITE = pytest.mark.parametrize("database", ["sqlite"])


@pytest.fixture
def app_settings(app_settings: Settings) -> Settings:
    # As in production: the demo's limits are wider. The development CA does not sign there, nor is it needed.
    changes = {"mode": "production", "apple_certificate_path": None, "proof_of_work_cost": 0}
    return app_settings.model_copy(update=changes)


@pytest.fixture
async def form(services) -> Form:
    """An open form at /join/card."""
    async with services.sessions.begin() as session:
        program = await make_program(session, name="Coffee House")
        form = Form(
            id="frm_1",
            program_id=program.id,
            slug="card",
            definition=DEFINITION,
            opening_points=50,
            is_open=True,
            created_at=NOON,
        )
        session.add(form)
    return form


@pytest.fixture
def send(client, form):
    async def send(**fields) -> httpx2.Response:
        return await client.post("/join/card", data=FILLED | fields)

    return send


async def count(services, table) -> int:
    async with services.sessions() as session:
        return await session.scalar(select(func.count()).select_from(table))


async def test_a_filled_form_enrols_and_leads_to_the_page_that_says_what_is_next(services, client, send):
    answer = await send(src="poster")
    done = await client.get(answer.headers["location"])

    assert (answer.status_code, answer.headers["location"]) == (303, "/join/card/done?lang=en")
    assert (done.status_code, "Your card is on its way" in done.text) == (200, True)
    async with services.sessions() as session:
        member = (await session.scalars(select(Member))).one()
        sms = (await session.scalars(select(Message))).one()
        submission = (await session.scalars(select(Submission))).one()
        networks = set(await session.scalars(select(Consent.ip_network)))
    assert (member.name, member.phone) == ("Anna", "+79123456789")
    assert sms.recipient == "+79123456789"
    assert sms.text.startswith("Coffee House: your card http://test/p/")
    assert (submission.outcome, submission.source_tag) == ("enrolled", "poster")
    assert networks == {"127.0.0.0/24"}


async def test_a_known_number_is_answered_byte_for_byte_as_an_unknown_one(clock, services, send):
    unknown = await send()
    clock.tick(61)
    known = await send()

    assert await count(services, Member) == 1
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
    numbered = {"x-request-id", "date"}
    assert [each for each in known.headers.multi_items() if each[0] not in numbered] == [
        each for each in unknown.headers.multi_items() if each[0] not in numbered
    ]


@SQLITE
async def test_a_known_and_an_unknown_number_are_limited_alike(clock, client, send):
    await send()
    known = await send()
    clock.tick(3600)
    other = FILLED | {"name": "Eve", "phone": "+79997654321"}
    await client.post("/join/card", data=other)
    unknown = await client.post("/join/card", data=other)

    assert known.status_code == unknown.status_code == 429
    assert known.content == unknown.content
    assert known.headers["retry-after"] == unknown.headers["retry-after"]


@SQLITE
async def test_a_reached_limit_is_a_page_that_says_when_to_return(services, send):
    await send()

    answer = await send()

    assert answer.status_code == 429
    assert answer.headers["content-type"].startswith("text/html")
    assert 59 <= int(answer.headers["retry-after"]) <= 61
    assert "We have just sent SMS to this number" in answer.text
    assert await count(services, Message) == 1
    async with services.sessions() as session:
        held = (await session.scalars(select(Submission).where(Submission.outcome == "held"))).one()
    assert (held.member_id, held.answers) == (None, {})


@SQLITE
async def test_managers_are_told_when_the_programmes_limit_is_reached(app, services, send):
    services.settings.__dict__["sms_spend_limit_per_day"] = 4
    await send()

    answers = [await send(phone=f"+7999{each}234567") for each in (1, 2)]

    assert [each.status_code for each in answers] == [429, 429]
    async with services.sessions() as session:
        notices = (await session.scalars(select(Notice).where(Notice.kind == "enrolment.limited"))).all()
    assert [each.details for each in notices] == [{"form": "card", "limit": "program_hour"}]


@SQLITE
async def test_mistakes_bring_the_form_back_as_it_was_filled_in(services, send):
    answer = await send(name='"><script>alert(1)</script>', phone="912", consent_marketing="v1")

    assert answer.status_code == 422
    assert "This is not a whole phone number" in answer.text
    assert "<script>alert" not in answer.text
    assert 'value="&#34;&gt;&lt;script&gt;' in answer.text
    phone = re.search(r'<input id="phone"[^>]*>', answer.text)
    assert phone
    assert 'aria-describedby="phone-hint phone-mistake" aria-invalid="true" autofocus' in phone[0]
    assert re.search(r'value="tea" checked', answer.text)
    assert re.search(r'id="consent_marketing"[^>]* checked', answer.text)
    assert answer.text.count("autofocus") == 1
    assert await count(services, Submission) == 0


@SQLITE
async def test_the_robots_field_is_answered_like_a_person_and_nothing_is_kept(services, send):
    robot, person = await send(website="https://spam.example"), await send()

    assert (robot.status_code, robot.headers["location"]) == (303, person.headers["location"])
    assert await count(services, Submission) == 1


@SQLITE
async def test_the_form_speaks_the_readers_language_and_switches(client, form):
    russian = await client.get("/join/card?src=poster", headers={"Accept-Language": "ru-RU,ru;q=0.9"})
    switched = await client.get("/join/card?src=poster&lang=en", headers={"Accept-Language": "ru"})
    remembered = await client.get("/join/card", headers={"Accept-Language": "ru"})
    unknown = await client.get("/join/card?lang=xx", headers={"Accept-Language": "en", "Cookie": ""})

    assert '<html lang="ru">' in russian.text
    assert "set-cookie" not in russian.headers
    assert '<a href="?src=poster&amp;lang=en"' in russian.text
    assert 'name="src" value="poster"' in russian.text
    assert '<html lang="en">' in switched.text
    assert "HttpOnly" in switched.headers["set-cookie"]
    assert '<html lang="en">' in remembered.text
    assert unknown.status_code == 200


@SQLITE
async def test_the_empty_form_shows_the_countrys_number_and_every_field_has_its_words(client, form):
    page = (await client.get("/join/card")).text

    assert 'placeholder="+7 912 345-67-89"' in page
    described = {each for ids in re.findall(r'aria-describedby="([^"]+)"', page) for each in ids.split()}
    labelled = set(re.findall(r'<label for="([^"]+)"', page))
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert described | labelled <= set(ids)
    assert len(ids) == len(set(ids))
    assert {"name", "phone", "birthday", "goal"} <= labelled


@SQLITE
async def test_a_closed_form_says_so_and_takes_nothing(services, client, send):
    async with services.sessions.begin() as session:
        (await session.get_one(Form, "frm_1")).is_open = False

    shown, sent = await client.get("/join/card"), await send()

    assert (shown.status_code, sent.status_code) == (410, 410)
    assert "This form is closed" in shown.text
    assert await count(services, Submission) == 0


@pytest.mark.parametrize("path", ["/join/nowhere", "/join/a%00b", "/join/%ED%A0%80", "/join/" + "x" * 500])
async def test_an_address_without_a_form_is_a_page_that_says_so(client, path):
    answers = [await client.get(path), await client.post(path, data=FILLED), await client.get(f"{path}/done")]

    assert [each.status_code for each in answers] == [404, 404, 404]
    assert "There is nothing here" in answers[0].text
    assert answers[0].headers["cache-control"] == "no-store"


HOSTILE = [
    ("too many fields", {"content": urlencode([(f"f{each}", "") for each in range(61)])}, 400),
    ("a file", {"files": {"name": ("a.txt", b"x")}}, 415),
    ("JSON", {"json": {"name": "Anna"}}, 415),
    ("no type", {"content": b"name=Anna", "headers": {"Content-Type": ""}}, 415),
    ("a huge body", {"content": "name=" + "a" * 300_000}, 413),
    ("a huge body that lies about its size", {"content": "x" * 300_000}, 413),
    ("nothing", {"content": ""}, 422),
    ("not UTF-8", {"content": b"name=%ff%fe&phone=%ed%a0%80"}, 422),
    ("NUL", {"content": "name=%00&src=%00&phone=%00"}, 422),
    ("ampersands", {"content": "&" * 10_000}, 422),
]


@SQLITE
async def test_hostile_bodies_are_refused_on_a_page(client, form, services):
    for what, sent, status in HOSTILE:
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if "content" in sent else {}
        answer = await client.post("/join/card", **{"headers": headers} | sent)

        assert (what, answer.status_code) == (what, status)
        assert answer.headers["content-type"] == "text/html; charset=utf-8", what
    assert await count(services, Submission) == 0


async def test_hostile_text_is_stored_without_what_a_database_cannot_hold(services, client, form):
    body = urlencode(FILLED | {"name": "An\x00na\u202e", "goal": "\x1b[2J", "src": "\x00po\x00ster" * 50})

    answer = await client.post(
        "/join/card", content=body, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )

    assert answer.status_code == 303
    async with services.sessions() as session:
        member = (await session.scalars(select(Member))).one()
        tag = (await session.scalars(select(Submission.source_tag))).one()
    assert (member.name, member.answers["goal"], tag) == ("Anna", "[2J", ("poster" * 11)[:64])


@SQLITE
async def test_colours_and_scripts_may_be_kept_for_ever_and_pages_never(client, form):
    page = await client.get("/join/card")
    links = re.findall(r'(?:href|src|data-worker)="(/[^"]+\?v=[^"]+)"', page.text)
    answers = [await client.get(link) for link in links]

    assert len(links) >= 4
    assert {(each.status_code, each.headers["cache-control"]) for each in answers} == {
        (200, "public, max-age=31536000, immutable")
    }
    assert page.headers["cache-control"] == "no-store"
    assert (await client.get("/static/join.js")).headers["cache-control"] == "no-cache"
    colours = await client.get("/join/card/theme.css")
    assert colours.text == ":root{--accent:#3c2415;--paper:#f6efe6}"


@SQLITE
async def test_pages_run_no_script_but_our_own_files(client, form):
    page = await client.get("/join/card")

    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|\sstyle=", page.text)


@SQLITE
async def test_a_head_request_is_answered_without_a_body(client, form):
    answer = await client.head("/join/card")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")


@SQLITE
async def test_no_phone_number_and_no_name_is_logged(services, send):
    with structlog.testing.capture_logs() as lines:
        await send(name="Philippa")
        await send(name="Philippa")

    assert {line["event"] for line in lines} >= {"request", "enrolment.limited"}
    assert "912" not in re.sub(r"req_\w+", "", str(lines))
    assert "Philippa" not in str(lines)


class TestProof:
    """The same form with proof of work."""

    @pytest.fixture
    def app_settings(self, app_settings: Settings) -> Settings:
        return app_settings.model_copy(update={"proof_of_work_cost": 20, "sms_spend_limit_per_day": 10_000})

    @staticmethod
    async def prove(client) -> str:
        page = (await client.get("/join/card")).text
        given = dict(re.findall(r'data-(challenge|salt|max|signature)="([^"]+)"', page))
        return solve(
            given["challenge"], given["salt"].replace("&amp;", "&"), given["signature"], int(given["max"])
        )

    @SQLITE
    async def test_with_proofs_thirty_people_may_share_an_address_and_without_three(self, client, send):
        proven = [await send(phone=f"+7912{each}000000", proof=await self.prove(client)) for each in range(4)]
        unproven = [await send(phone=f"+7913{each}000000") for each in range(4)]

        assert [each.status_code for each in proven] == [303] * 4
        assert [each.status_code for each in unproven] == [303, 303, 303, 429]

    async def test_a_proof_counts_once_and_then_the_form_asks_to_be_sent_again(
        self, clock, services, client, send
    ):
        proof = await self.prove(client)
        first = await send(proof=proof)
        clock.tick(61)
        again = await send(proof=proof)

        assert (first.status_code, again.status_code) == (303, 422)
        assert "Please press the button once more" in again.text
        assert 'value="8 912 345-67-89"' in again.text
        assert await count(services, SpentChallenge) == 1
        assert await count(services, Message) == 1

    @SQLITE
    async def test_mistakes_do_not_use_up_the_proof(self, client, send):
        proof = await self.prove(client)

        assert (await send(proof=proof, name="")).status_code == 422
        assert (await send(proof=proof)).status_code == 303


@SQLITE
async def test_only_the_sites_a_form_names_may_frame_it(client, services, form):
    async with services.sessions.begin() as session:
        mine = await session.get_one(Form, form.id)
        mine.definition = mine.definition | {"sites": ["https://school.example", "https://*.school.example"]}

    pages = [await client.get(f"/join/{form.slug}{path}") for path in ("", "/done")]
    script = await client.get("/static/embed.js")

    allowed = "frame-ancestors https://school.example https://*.school.example;"
    assert all(allowed in each.headers["content-security-policy"] + ";" for each in pages)
    assert all("framed.js" in each.text for each in pages)
    assert script.headers["cross-origin-resource-policy"] == "cross-origin"


@pytest.mark.parametrize(
    "site",
    ["school.example", "https://", "https://x y", "https://a;script-src *", "javascript:1", "https://a/b"],
)
def test_a_site_that_would_change_the_policy_is_no_site(site):
    with pytest.raises(ValidationError):
        TypeAdapter(Site).validate_python(site)
