"""The pages: what they show of members and users, and what nobody's words may do to them."""

import re
from pathlib import Path

import pytest
from sqlalchemy import select

import app
from app.campaigns.results import STEPS
from app.clock import utc_now
from app.db import new_id
from app.i18n import LANGUAGES
from app.members.messages import queue_message
from app.members.models import Consent
from app.passes.issue import issue
from app.points import figures, ledger
from app.staff import audit
from app.staff.models import AuditEntry, User
from app.staff.roles import ROLES
from app.web.console.home import SHOWN
from app.web.console.pages import MENU
from tests.make import make_account, make_member, make_program

PAGES = (*(url for url, _, _ in MENU), "/console/account")
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{7*7}}"


@pytest.fixture
def clock(clock):
    """The figures of a period are found by ids, which have the time of the machine."""
    clock.now = utc_now()
    return clock


@pytest.fixture
async def program(services):
    async with services.sessions.begin() as session:
        return await make_program(session, name=f"Coffee {HOSTILE}")


@pytest.fixture
async def member(services, program, clock):
    async with services.sessions.begin() as session:
        account = await make_account(session, program)
        member = await make_member(session, account, name=f"Anna {HOSTILE}", phone="+79161234567")
        await issue(session, member, template="coffee", now=clock())
        await ledger.earn(
            session, account.id, 1250, reason=HOSTILE, source="till", source_event="1", now=clock()
        )
        await ledger.redeem(session, account.id, 50, reason="", source="till", source_event="2", now=clock())
    return member


def refuse_scripts(html):
    assert "<script" not in html
    assert "onerror=alert" not in re.sub(r"&[a-z#0-9]+;[^<]*", "", html)
    assert "49" not in re.findall(r"Coffee [^<]*", html)


async def test_home_shows_figures_with_their_definitions_and_survives_hostile_names(signed_in, member):
    browser, _ = await signed_in("marketer")
    html = (await browser.get("/console?days=7")).text

    refuse_scripts(html)
    shown = dict(re.findall(r"<dt>([^<]+)\n.*?<dd>([^<]+)</dd>", html, re.S))
    assert shown["Points issued"] == "1,250"
    assert (shown["Points spent"], shown["Points owed"]) == ("50", "1,200")
    assert html.count("<rect") == 7
    assert (await browser.get("/console?days=8")).status_code == 422


async def test_the_figures_are_those_of_the_period(services, program, member, clock):
    async with services.sessions() as session:
        found = await figures.of_program(session, program, days=30, now=clock())

    assert (found.members, found.issued, found.spent, found.owed) == (1, 1250, 50, 1200)
    assert len(found.joined_by_day) == 30


async def test_a_programme_is_not_needed(signed_in):
    browser, _ = await signed_in("owner")

    for path in PAGES:
        assert (await browser.get(path)).status_code == 200, path


@pytest.mark.parametrize("asked", ["+7 916 123-45-67", "8 (916) 1234567", "anna", "ANNA <"])
async def test_a_member_is_found_by_phone_or_the_beginning_of_the_name(signed_in, member, asked):
    browser, _ = await signed_in("hotline")

    html = (await browser.get("/console/members", params={"q": asked})).text

    assert f"/console/members/{member.id}" in html
    refuse_scripts(html)


async def test_a_member_is_found_by_card_number_and_not_by_another(signed_in, member):
    browser, _ = await signed_in("hotline")
    here = f"/console/members/{member.id}"

    assert here in (await browser.get("/console/members", params={"q": member.card_number})).text
    for asked in ("+79161234568", "%", "_nna", "x" * 90):
        assert here not in (await browser.get("/console/members", params={"q": asked})).text


async def test_the_page_of_a_member_tells_every_entry_and_the_story_of_the_pass(signed_in, member):
    browser, _ = await signed_in("hotline")
    html = (await browser.get(f"/console/members/{member.id}?lang=ru")).text

    refuse_scripts(html)
    assert "+1\xa0250" in html
    assert "Начислено" in html
    assert "Выпущена" in html
    assert (await browser.get("/console/members/mem_other")).status_code == 404


async def test_what_was_said_to_a_member_and_by_them_is_on_their_page_and_no_secret_link(
    signed_in, services, program, member, clock
):
    now = clock()
    async with services.sessions.begin() as session:
        for purpose, text in (("pass_link", "Your card: /p/secret-token"), ("campaign", f"Chess {HOSTILE}")):
            await queue_message(
                session,
                program_id=program.id,
                member_id=member.id,
                channel="sms",
                purpose=purpose,
                recipient="+79161234567",
                text=text,
                now=now,
            )
        for kind, given in (("marketing", False), ("something_new", True)):
            session.add(
                Consent(
                    id=new_id("con"),
                    program_id=program.id,
                    member_id=member.id,
                    kind=kind,
                    version="2026-11-01",
                    language="en",
                    text=f"I want news {HOSTILE}",
                    given=given,
                    at=now,
                )
            )
    browser, _ = await signed_in("hotline")
    html = (await browser.get(f"/console/members/{member.id}")).text

    refuse_scripts(html)
    assert "secret-token" not in html
    assert "link to the card" in html
    assert html.count("Chess &lt;script") == 1
    assert ("News and offers" in html, "something_new" in html) == (True, True)
    assert [word.strip() for word in re.findall(r'badge[ bad]*">(agreed|refused)', html)] == [
        "agreed",
        "refused",
    ]


async def test_a_note_is_for_whoever_looks_next_and_stands_in_the_log(signed_in, services, member):
    here = f"/console/members/{member.id}"
    hotline, user = await signed_in("hotline")
    written = await hotline.post(f"{here}/notes", data={"text": f"  Calls\nback {HOSTILE} "})
    empty = await hotline.post(f"{here}/notes", data={"text": " \n "})
    long = await hotline.post(f"{here}/notes", data={"text": "x" * 1001})

    assert [each.status_code for each in (written, empty, long)] == [303, 422, 422]
    assert "1,000 characters" in empty.text
    security, _ = await signed_in("security")
    html = (await security.get(here)).text
    refuse_scripts(html)
    assert html.count("Calls back &lt;script") == 1
    async with services.sessions() as session:
        entry = await session.scalar(select(AuditEntry).where(AuditEntry.action == "note.added"))
    assert (entry.who, entry.subject) == (user.id, member.id)


async def test_an_owner_adds_a_user_who_sets_a_password_and_all_of_it_is_in_the_log(
    signed_in, client, services
):
    browser, owner = await signed_in("owner")
    given = {"email": "boris@example.com", "name": HOSTILE, "role": "marketer"}

    made = await browser.post("/console/users", data=given)
    refuse_scripts(made.text)
    path = re.search(r"/console/link/[\w-]+", made.text)[0]
    await client.post(
        path, data={"password": "a new long password"}, headers={"Sec-Fetch-Site": "same-origin"}
    )
    async with services.sessions() as session:
        user = await session.scalar(select(User).where(User.email == "boris@example.com"))
    changed = await browser.post(f"/console/users/{user.id}/role", data={"role": "auditor"})
    assert changed.status_code == 303

    async with services.sessions() as session:
        entries = (await session.scalars(select(AuditEntry).order_by(AuditEntry.number))).all()
        await audit.verify(session)
    told = [(each.who, each.action) for each in entries if each.subject == user.id]
    assert told == [
        (owner.id, "user.added"),
        (owner.id, "user.link_made"),
        (user.id, "user.password_set"),
        (owner.id, "user.role_set"),
    ]
    assert (entries[-1].before["role"], entries[-1].after["role"]) == ("marketer", "auditor")
    log = (await browser.get("/console/audit")).text
    refuse_scripts(log)
    assert "<del>marketer</del> auditor" in log


@pytest.mark.parametrize(
    "given",
    [
        {"email": "nobody", "name": "", "role": "owner"},
        {"email": "owner@example.com", "name": "", "role": "owner"},
        {"email": "b@example.com", "name": "x" * 200, "role": "owner"},
        {"email": "b@example.com", "name": "", "role": "king"},
        {},
    ],
)
async def test_a_user_who_cannot_be_is_refused(signed_in, services, given):
    browser, _ = await signed_in("owner")

    assert (await browser.post("/console/users", data=given)).status_code == 422
    async with services.sessions() as session:
        assert len((await session.scalars(select(User))).all()) == 1


async def test_the_last_owner_cannot_be_shut_out_or_made_less(signed_in):
    browser, owner = await signed_in("owner")

    shut = await browser.post(f"/console/users/{owner.id}/active", data={"active": "no"})
    less = await browser.post(f"/console/users/{owner.id}/role", data={"role": "auditor"})

    assert (shut.status_code, less.status_code) == (422, 422)
    assert "make another owner first" in shut.text
    assert (await browser.get("/console/users")).status_code == 200


def test_every_finding_line_action_and_role_has_its_words(services):
    """The pages ask for these by a key that is made of a code."""
    folder = Path(app.__file__).parent
    found = {
        *(f"console.findings.{code}" for code in _written(folder / "passes", r'Finding\(\s*"(\w+)"')),
        *(
            f"console.story.{kind}"
            for kind in _written(folder / "passes", r'^[A-Z_]+ = "([a-z_]+)"  ?#?', "trace.py")
        ),
        *(
            f"console.actions.{action.replace('.', '_')}"
            for action in _written(folder / "staff", r'"((?:user|session)\.[a-z_]+)"')
        ),
        *(f"console.roles.{role}" for role in ROLES),
        *(
            f"console.warnings.{code.replace('-', '_')}"
            for code in _written(folder / "campaigns", r'Warning\([^,]+, "([a-z-]+)"', "wording.py")
        ),
        *(
            f"console.left_out.{reason}"
            for reason in _written(folder / "campaigns", r'(?:, |=)"(cap|blocked|no_\w+|same_text)"')
        ),
        *(
            f"console.campaign_states.{state}"
            for state in ("draft", "planning", "planned", "approved", "running", "paused", "stopped", "done")
        ),
        *(f"console.steps.{step}" for step in STEPS),
        *(f"console.problems.{key}" for key in _written(folder / "web" / "console", r'_Refused\("(\w+)"')),
        *(f"console.pages.{key}" for _, key, _ in MENU),
        *(f"console.figures.{name}" for name in SHOWN),
        *(f"console.figures.{name}_is" for name in SHOWN),
    }
    assert len(found) > 60
    for language in LANGUAGES:
        assert found - services.texts.by_language[language].keys() == set()


def _written(folder, pattern, name="*.py"):
    return {
        match
        for file in folder.glob(name)
        for match in re.findall(pattern, file.read_text("utf-8"), re.MULTILINE)
    }
