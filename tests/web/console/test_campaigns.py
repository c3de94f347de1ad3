"""A marketer's campaign in the console: written, planned, approved, run, measured; and what hinders it."""

import re

import pytest
from sqlalchemy import select, text

from app.campaigns.models import Campaign
from app.jobs import run_campaign
from app.passes.models import Pass
from app.staff.models import AuditEntry
from tests.campaigns.conftest import Marketing
from tests.make import make_program

HOSTILE = "<script>alert(1)</script>"
FORM = {"name": "Chess day", "audience": "", "text_en": "Chess day on Sunday", "text_ru": "", "points": ""}


@pytest.fixture
async def marketing(services):
    async with services.sessions.begin() as session:
        program = await make_program(session, language="en")
    found = Marketing(services.sessions, program)
    await found.member()
    await found.member(phone=False)
    return found


@pytest.fixture
async def marketer(signed_in):
    browser, _ = await signed_in("marketer")
    return browser


async def drafted(browser, **given):
    """The address of a new campaign."""
    answer = await browser.post("/console/campaigns/new", data=FORM | given)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def work(services, path, handler):
    """What a worker does for this campaign next."""
    async with services.sessions() as session:
        campaign = await session.get_one(Campaign, path.rpartition("/")[2])
    await handler(services, {"campaign_id": campaign.id, "step": campaign.step, "by": campaign.created_by})


async def planned(services, browser, **given):
    path = await drafted(browser, **given)
    await work(services, path, run_campaign.plan_campaign)
    return path


async def approved(browser, path):
    html = (await browser.get(path)).text
    return await browser.post(
        f"{path}/approve", data={"plan_hash": re.search(r'name="plan_hash" value="(\w+)"', html)[1]}
    )


async def test_a_campaign_is_written_planned_approved_and_measured(marketing, marketer, services):
    path = await drafted(marketer, name=f"Chess {HOSTILE}", text_en=f"Chess {HOSTILE}")
    waiting = (await marketer.get(path)).text
    await work(services, path, run_campaign.plan_campaign)
    plan = (await marketer.get(path)).text
    agreed = await approved(marketer, path)
    running = (await marketer.get(path)).text
    for _ in range(2):
        await work(services, path, run_campaign.run_campaign)
    done = (await marketer.get(path)).text

    assert 'http-equiv="refresh"' in waiting
    assert "Reaches 1 of 2 members." in plan
    assert "iPhones: 1 ring, 0 silent, 0 later" in plan
    assert "Without the message, no card on a phone: 1" in plan
    assert (agreed.status_code, 'http-equiv="refresh"' in running) == (303, True)
    assert re.search(r"Told</th>.*?<td class=\"number\">1</td>", done, re.DOTALL)
    assert all(HOSTILE not in each for each in (waiting, plan, running, done))
    async with services.sessions() as session:
        assert f"Chess {HOSTILE}" in set(await session.scalars(select(Pass.message)))
        actions = list(await session.scalars(select(AuditEntry.action).order_by(AuditEntry.number)))
    assert actions[-2:] == ["campaign.drafted", "campaign.approved"]
    assert path in (await marketer.get("/console/campaigns")).text


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": " "}, "a name"),
        ({"name": "x" * 129}, "a name"),
        ({"text_en": ""}, "programme&#39;s language"),
        ({"text_en": "Hello {{ shoe_size }}"}, "cannot be sent like this"),
        ({"text_en": "Hello {% if %}"}, "cannot be sent like this"),
        ({"points": "many"}, "cannot be sent like this"),
        ({"audience": "seg_none"}, "cannot be sent like this"),
        ({"send_at": "tomorrow"}, "cannot be sent like this"),
    ],
)
async def test_what_cannot_be_sent_is_said_and_what_was_written_is_kept(
    marketing, marketer, services, given, words
):
    answer = await marketer.post("/console/campaigns/new", data=FORM | {"text_ru": "Шахматы"} | given)

    assert answer.status_code == 422
    assert words in answer.text
    assert "Шахматы" in answer.text
    async with services.sessions() as session:
        assert (await session.scalars(select(Campaign))).all() == []


async def test_why_no_plan_was_made_is_on_the_page(marketing, marketer, services):
    async with services.sessions.begin() as session:
        await session.execute(text("UPDATE members SET state = 'blocked'"))
    path = await planned(services, marketer)

    html = (await marketer.get(path)).text
    assert "draft" in html
    assert "nobody of 2 would be told" in html
    assert (await marketer.post(f"{path}/steer", data={"what": "plan"})).status_code == 303


async def test_another_plan_or_state_than_was_shown_is_not_approved(marketing, marketer, services):
    path = await planned(services, marketer)
    wrong = await marketer.post(f"{path}/approve", data={"plan_hash": "0" * 64})
    await marketer.post(f"{path}/steer", data={"what": "stop"})
    late = await marketer.post(f"{path}/approve", data={"plan_hash": "0" * 64})

    assert (wrong.status_code, "no longer the newest plan" in wrong.text) == (422, True)
    assert (late.status_code, "moved on" in late.text) == (422, True)


async def test_a_large_plan_needs_another_person(marketing, marketer, services, monkeypatch, signed_in):
    monkeypatch.setattr(services.settings, "campaign_second_person_above", 1)
    path = await planned(services, marketer)

    own = await approved(marketer, path)
    manager, _ = await signed_in("manager")
    others = await approved(manager, path)

    assert (own.status_code, "somebody who did not make the plan" in own.text) == (422, True)
    assert others.status_code == 303


async def test_a_campaign_is_held_let_go_on_and_ended(marketing, marketer, services):
    path = await planned(services, marketer)
    await approved(marketer, path)

    states = []
    for what in ("pause", "resume", "stop"):
        assert (await marketer.post(f"{path}/steer", data={"what": what})).status_code == 303
        async with services.sessions() as session:
            states.append((await session.get_one(Campaign, path.rpartition("/")[2])).state)

    assert states == ["paused", "approved", "stopped"]
    assert (await marketer.post(f"{path}/steer", data={"what": "dance"})).status_code == 404
