"""What the console does to a member: once, with a reason, in the log; and what stands in the way is said."""

import re

import pytest
from sqlalchemy import select

from app.members.models import Account, Member, Message
from app.passes.issue import issue
from app.passes.models import Pass
from app.points.models import Entry
from app.staff.models import AuditEntry
from tests.make import NOON, make_account, make_member, make_program


@pytest.fixture
async def member(services):
    async with services.sessions.begin() as session:
        program = await make_program(session)
        account = await make_account(session, program, phone="+79161234567")
        member = await make_member(session, account, phone="+79161234567")
        await issue(session, member, template="coffee", now=NOON)
    return member


@pytest.fixture
async def manager(signed_in):
    browser, _ = await signed_in("manager")
    return browser


async def book(browser, member, **given):
    """Send the form that the page shows, with these values."""
    here = f"/console/members/{member.id}"
    number = re.search(r'name="number" value="([0-9a-f]{32})"', (await browser.get(here)).text)[1]
    form = {"number": number, "what": "earn", "points": "100", "reason": "Birthday"} | given
    return form, await browser.post(f"{here}/points", data=form)


async def entries(services):
    async with services.sessions() as session:
        rows = await session.scalars(select(Entry).order_by(Entry.sequence))
        return [(each.kind, each.points, each.reason) for each in rows]


async def log(services):
    async with services.sessions() as session:
        rows = await session.scalars(select(AuditEntry).order_by(AuditEntry.number))
        return [each.action for each in rows if not each.action.startswith(("user.", "session."))]


async def test_points_are_booked_once_however_often_the_form_is_sent(manager, member, services):
    form, answer = await book(manager, member)
    again = await manager.post(f"/console/members/{member.id}/points", data=form)
    await book(manager, member, what="redeem", points="30", reason="Cup of tea")
    await book(manager, member, what="add", points="5", reason="Our mistake")
    await book(manager, member, what="take", points="1", reason="Their mistake")

    assert (answer.status_code, again.status_code) == (303, 303)
    assert await entries(services) == [
        ("earn", 100, "Birthday"),
        ("redeem", -30, "Cup of tea"),
        ("adjust", 5, "Our mistake"),
        ("adjust", -1, "Their mistake"),
    ]
    assert await log(services) == ["points.earn", "points.redeem", "points.adjust", "points.adjust"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"what": "redeem"}, "not so many points"),
        ({"what": "take"}, "not so many points"),
        ({"points": "0"}, "above zero"),
        ({"points": "-5"}, "above zero"),
        ({"points": "1.5"}, "above zero"),
        ({"points": "9" * 10}, "above zero"),
        ({"points": "٣"}, "above zero"),
        ({"what": "steal"}, "above zero"),
        ({"reason": " "}, "write a reason"),
        ({"reason": "x" * 257}, "write a reason"),
        ({"reason": "a\0b"}, "write a reason"),
        ({"number": "1"}, "sent already"),
    ],
)
async def test_what_cannot_be_booked_is_said_and_nothing_is_done(manager, member, services, given, words):
    _, answer = await book(manager, member, **given)

    assert answer.status_code == 422
    assert words in answer.text
    assert (await entries(services), await log(services)) == ([], [])


async def test_one_form_is_no_two_movements(manager, member, services):
    form, _ = await book(manager, member)

    other = await manager.post(f"/console/members/{member.id}/points", data=form | {"points": "200"})

    assert (other.status_code, "sent already" in other.text) == (422, True)
    assert await entries(services) == [("earn", 100, "Birthday")]


async def test_an_entry_is_reversed_once(manager, member, services):
    await book(manager, member)
    html = (await manager.get(f"/console/members/{member.id}")).text
    path = re.search(r"/console/members/\w+/entries/\w+/reverse", html)[0]

    numbers = ["0" * 31 + each for each in "123"]
    done = await manager.post(path, data={"number": numbers[0], "reason": "Wrong card"})
    twice = await manager.post(path, data={"number": numbers[1], "reason": "Wrong card"})
    reversal = re.search(r"/entries/(\w+)/reverse", (await manager.get(f"/console/members/{member.id}")).text)

    assert (done.status_code, twice.status_code) == (303, 422)
    assert "reversed already" in twice.text
    assert reversal is None  # neither of the two can be undone any more
    assert await entries(services) == [("earn", 100, "Birthday"), ("reverse", -100, "Wrong card")]
    assert await log(services) == ["points.earn", "points.reverse"]


async def test_a_block_keeps_from_earning_and_shows_on_the_page(manager, member, services):
    path = f"/console/members/{member.id}/state"
    for _ in range(2):
        assert (await manager.post(path, data={"state": "blocked"})).status_code == 303
    _, refused = await book(manager, member)
    _, corrected = await book(manager, member, what="add")
    await manager.post(path, data={"state": "active"})

    assert (refused.status_code, "is blocked" in refused.text, corrected.status_code) == (422, True, 303)
    assert await log(services) == ["member.blocked", "points.adjust", "member.unblocked"]
    async with services.sessions() as session:
        assert (await session.get_one(Member, member.id)).state == "active"
        assert (await session.get_one(Account, member.account_id)).balance == 100


async def test_the_hotline_sends_a_link_and_replaces_a_card(signed_in, member, services):
    browser, _ = await signed_in("hotline")
    html = (await browser.get(f"/console/members/{member.id}")).text
    assert "/points" not in html  # what the role may not do is not offered
    link, reissue = (
        re.search(rf"/console/members/\w+/passes/\w+/{what}", html)[0] for what in ("link", "reissue")
    )

    sent = await browser.post(link)
    replaced = await browser.post(reissue)
    again = await browser.post(reissue)

    assert (sent.status_code, replaced.status_code, again.status_code) == (303, 303, 422)
    async with services.sessions() as session:
        messages = (await session.scalars(select(Message))).all()
        states = sorted(await session.scalars(select(Pass.state)))
    assert [(each.channel, each.recipient) for each in messages] == [("sms", "+79161234567")] * 2
    assert states == ["active", "voided"]
    assert await log(services) == ["pass.link_sent", "pass.reissued"]


async def test_what_belongs_to_others_is_not_found(manager, member, services):
    async with services.sessions.begin() as session:
        other = await make_member(session)
        held = await issue(session, other, template="coffee", now=NOON)

    for path in (
        f"{other.id}/state",
        f"{member.id}/passes/{held.id}/link",
        f"{member.id}/entries/ent_1/reverse",
    ):
        form = {"reason": "x", "number": "0" * 32, "state": "blocked"}
        assert (await manager.post(f"/console/members/{path}", data=form)).status_code == 404, path
    assert await log(services) == []
