"""The main story from end to end: a form, an SMS, a card on a phone, and every change rings it.

Real sockets everywhere: the program, Apple's push service, the SMS gateway; the phones verify what they get.
"""

import asyncio

from sqlalchemy import select

from app.members.models import Notice
from app.passes.models import Registration
from tests.flows.town import MOTHERS_NUMBER, forget_limits, rung, shown


async def test_a_customer_enrols_gets_the_card_by_sms_and_every_change_rings_the_phone(town):
    async with town.world.sms.inbox(MOTHERS_NUMBER) as inbox:
        assert (await town.enrol()).status_code == 303
        link = await town.link(inbox)
    phone = await town.phone()
    assert (await town.http.get(link)).status_code == 200
    card = await phone.add(f"{link}/card.pkpass")
    member = await town.member("Анна Петрова")
    assert shown(phone, "balance") == "50"

    earned = await town.post(member.account_id, "till-1", kind="earn", points=300, reason="Покупка")
    await phone.wait_for(lambda each: shown(each, "balance") == "350")
    await town.post(member.account_id, "till-2", kind="redeem", points=100, reason="Капучино")
    await phone.wait_for(lambda each: shown(each, "balance") == "250")

    assert earned.status_code == 201
    assert rung(phone) == ["На вашем счёте баллов: 350", "На вашем счёте баллов: 250"]
    await phone.remove(card.opened.serial_number)
    async with town.services.sessions() as session:
        assert (await session.scalars(select(Registration))).all() == []
        (notice,) = (await session.scalars(select(Notice))).all()
    assert notice.details["name"] == "Анна Петрова"
    assert phone.log == []


async def test_mother_and_child_share_one_balance_and_each_phone_rings_once(town):
    phones = []
    async with town.world.sms.inbox(MOTHERS_NUMBER) as inbox:
        for name in ("Анна Петрова", "Миша Петров"):
            await forget_limits(town)
            await town.enrol(name=name)
            phone = await town.phone()
            await phone.add(f"{await town.link(inbox)}/card.pkpass")
            phones.append(phone)
    mother, child = await town.member("Анна Петрова"), await town.member("Миша Петров")
    assert mother.account_id == child.account_id

    await town.post(mother.account_id, "till-1", kind="earn", points=30, reason="Чай")
    for phone in phones:
        await phone.wait_for(lambda each: shown(each, "balance") == "80")

    assert [len(rung(phone)) for phone in phones] == [1, 1]


async def test_a_known_number_is_answered_like_a_new_one(town):
    async with town.world.sms.inbox(MOTHERS_NUMBER) as inbox:
        new = await town.enrol()
        first = await town.link(inbox)
        await forget_limits(town)
        known = await town.enrol()
        second = await town.link(inbox)

    assert (new.status_code, new.headers["location"], new.content) == (
        known.status_code,
        known.headers["location"],
        known.content,
    )
    assert first != second  # both lead to the one card
    cards = {
        (await (await town.phone()).add(f"{link}/card.pkpass")).opened.serial_number
        for link in (first, second)
    }
    assert len(cards) == 1


async def test_a_voided_pass_turns_grey_on_the_phone(town):
    async with town.world.sms.inbox(MOTHERS_NUMBER) as inbox:
        await town.enrol()
        phone = await town.phone()
        card = await phone.add(f"{await town.link(inbox)}/card.pkpass")
    headers = {"Authorization": f"Bearer {town.key}", "Idempotency-Key": "void-1"}
    (issued,) = (
        await town.http.get(
            "/api/v1/passes",
            params={"member_id": (await town.member("Анна Петрова")).id},
            headers=headers,
        )
    ).json()["data"]

    voided = await town.http.post(
        f"/api/v1/passes/{issued['id']}/void", json={"reason": "lost phone"}, headers=headers
    )
    await phone.wait_for(lambda each: each.is_grey(card.opened.serial_number))

    assert voided.status_code == 200


async def test_the_trace_tells_the_whole_story_in_order(town):
    async with town.world.sms.inbox(MOTHERS_NUMBER) as inbox:
        await town.enrol()
        phone = await town.phone()
        link = await town.link(inbox)
        await town.http.get(link)
        await phone.add(f"{link}/card.pkpass")
    member = await town.member("Анна Петрова")
    await town.post(member.account_id, "till-1", kind="earn", points=1, reason="x")
    await phone.wait_for(lambda each: shown(each, "balance") == "51")
    headers = {"Authorization": f"Bearer {town.key}"}
    (issued,) = (
        await town.http.get("/api/v1/passes", params={"member_id": member.id}, headers=headers)
    ).json()["data"]

    kinds: list[str] = []
    async with asyncio.timeout(30):
        # Both are written a moment later: what phones fetch in bulk, a push when its answer is in.
        while not {"push_accepted", "fetched"} <= set(kinds):
            trace = (await town.http.get(f"/api/v1/passes/{issued['id']}/trace", headers=headers)).json()
            kinds = [each["kind"] for each in trace["events"]]

    assert [kind for kind in kinds if kind != "asked"] == [
        "issued",
        "link_opened",
        "downloaded",
        "installed",
        "changed",
        "push_accepted",
        "fetched",
    ]
