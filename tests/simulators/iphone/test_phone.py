"""The simulated iPhone and our web service, together; and what it says of servers that break the contract."""

import re
from dataclasses import dataclass

import httpx2
import pytest
from sqlalchemy import select, update

from app.members.models import Account, Member
from app.passes import trace
from app.passes.issue import issue, make_link, set_state
from app.passes.models import DeviceLog, Pass, Registration
from app.passes.versions import mark_account_changed
from app.simulators.iphone import IPhone, RefusedPass
from app.simulators.iphone.phone import RETRY_SECONDS
from tests.make import NOON, make_member
from tests.simulators.iphone.test_opening import Maker

PASS_TYPE = "pass.org.passbell.test"


@dataclass
class Push:
    topic: str = PASS_TYPE


class Pushes:
    """Apple's side of the push connection, for one phone: push() rings it."""

    def __init__(self):
        self.listeners = {}

    def subscribe(self, push_token, callback):
        self.listeners[push_token] = callback
        return lambda: self.listeners.pop(push_token)

    def push(self):
        for callback in list(self.listeners.values()):
            callback(Push())


@pytest.fixture
def pushes():
    return Pushes()


@pytest.fixture
async def make_phone(client, pushes, development_ca, clock):
    phones = []

    def make(**options):
        phone = IPhone(
            options.pop("http", client),
            trusted=development_ca.root.certificate,
            subscribe_pushes=pushes.subscribe,
            locale=options.pop("locale", "en"),
            clock=clock,
            **options,
        )
        phones.append(phone)
        return phone

    yield make
    for phone in phones:
        await phone.close()


@pytest.fixture
async def phone(make_phone):
    return make_phone()


@dataclass
class Card:
    app: object
    held: Pass
    url: str

    async def earn(self, points, *, now=NOON):
        async with self.app.state.services.sessions.begin() as session:
            member = await session.get(Member, self.held.member_id)
            changed = update(Account).where(Account.id == member.account_id)
            await session.execute(changed.values(balance=Account.balance + points))
            await mark_account_changed(
                session, self.held.program_id, member.account_id, because={"a": "test"}, now=now
            )

    async def void(self):
        async with self.app.state.services.sessions.begin() as session:
            await set_state(session, self.held.program_id, self.held.id, "voided", reason="test", now=NOON)

    async def story(self):
        await self.app.state.evidence.flush()
        async with self.app.state.services.sessions() as session:
            return [line.kind for line in await trace.story(session, self.held.id)]


@pytest.fixture
async def card(app):
    async with app.state.services.sessions.begin() as session:
        held = await issue(session, await make_member(session), template="coffee", now=NOON)
        url = f"/p/{await make_link(session, held, now=NOON)}/card.pkpass"
    return Card(app, held, url)


async def rows(app, query):
    async with app.state.services.sessions() as session:
        return list(await session.scalars(query))


async def test_a_push_brings_the_new_balance_to_the_lock_screen(app, phone, pushes, card):
    await phone.add(card.url)
    await card.earn(50)

    pushes.push()
    await phone.wait_for(lambda phone: phone.notifications)

    assert "50" in phone.notifications[0].text
    assert phone.log == []
    story = await card.story()
    assert set(story) == {
        trace.ISSUED, trace.DOWNLOADED, trace.INSTALLED, trace.CHANGED, trace.ASKED, trace.FETCHED
    }  # fmt: skip


async def test_a_push_without_a_change_rings_nobody(phone, pushes, card):
    installed = await phone.add(card.url)
    await phone.ask(PASS_TYPE)

    assert phone.notifications == []
    assert installed.fetches == 1
    assert (await card.story())[-1] in (trace.ASKED, trace.NOT_MODIFIED)


async def test_three_changes_in_one_second_ring_three_times(phone, pushes, card):
    await phone.add(card.url)
    for times in range(1, 4):
        await card.earn(10)
        pushes.push()
        await phone.wait_for(lambda phone, times=times: len(phone.notifications) == times)

    assert "10" in phone.notifications[0].text
    assert "30" in phone.notifications[2].text
    assert phone.log == []


async def test_pushes_that_arrive_together_end_on_the_newest_version(phone, pushes, card):
    await phone.add(card.url)
    for _ in range(5):
        await card.earn(10)
        pushes.push()

    await phone.wait_for(lambda phone: any("50" in shown.text for shown in phone.notifications))


async def test_a_voided_pass_turns_grey(phone, card):
    await phone.add(card.url)
    assert not phone.is_grey(card.held.serial_number)

    await card.void()
    await phone.ask(PASS_TYPE)

    assert phone.is_grey(card.held.serial_number)


async def test_removing_the_pass_unregisters_it(app, phone, pushes, card):
    await phone.add(card.url)
    assert [row.push_token for row in await rows(app, select(Registration))] == [phone.push_token]

    await phone.remove(card.held.serial_number)

    assert await rows(app, select(Registration)) == []
    assert pushes.listeners == {}
    assert phone.passes == {}


async def test_automatic_updates_off_is_deaf_and_on_again_fetches_at_once(app, phone, pushes, card):
    await phone.add(card.url)
    await phone.set_automatic_updates(False)
    assert await rows(app, select(Registration)) == []
    await card.earn(50)
    pushes.push()

    await phone.set_automatic_updates(True)

    assert "50" in phone.notifications[0].text
    assert len(await rows(app, select(Registration))) == 1


async def test_a_phone_shows_its_own_language(make_phone, pushes, card):
    phone = make_phone(locale="ru")
    await phone.add(card.url)
    await card.earn(50)
    await phone.ask(PASS_TYPE)

    assert re.search("[а-я]", phone.notifications[0].text)


async def test_a_headless_phone_follows_the_protocol_and_keeps_nothing(make_phone, pushes, card):
    phone = make_phone(headless=True)
    installed = await phone.add(card.url)
    await card.earn(50)
    pushes.push()

    await phone.wait_for(lambda phone: installed.fetches == 2)

    assert (phone.notifications, phone.log) == ([], [])


async def test_a_link_that_leads_nowhere_adds_nothing(phone):
    with pytest.raises(RefusedPass, match="404"):
        await phone.add("/p/unknown/card.pkpass")
    assert phone.passes == {}


# Servers that break the contract


class Server:
    """A web service of another make: answers as told, and keeps what was written to its log."""

    def __init__(self, data):
        self.data = data
        self.answers = {}  # (method, last part of the path before the serial) -> responses in turn
        self.logs = []

    def __call__(self, request):
        path = request.url.path
        if path.endswith(".pkpass"):
            return pkpass(self.data)
        if path.endswith("/log"):
            self.logs.append(request.content.decode())
            return httpx2.Response(200)
        kind = "pass" if "/passes/" in path else "list" if request.method == "GET" else "registration"
        answers = self.answers.get(kind)
        if not answers:
            return httpx2.Response(201 if kind == "registration" else 204)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def pkpass(data, status=200, kind="application/vnd.apple.pkpass"):
    return httpx2.Response(status, content=data, headers={"content-type": kind})


def news(*serials, tag="7", **changes):
    return httpx2.Response(200, json={"serialNumbers": list(serials), "lastUpdated": tag} | changes)


@pytest.fixture
def server(development_ca):
    return Server(Maker(development_ca).build())


@pytest.fixture
async def waits():
    return []


@pytest.fixture
async def guest(make_phone, server, waits):
    """A phone that holds a pass of `server`, which it has asked once."""

    async def wait(seconds):
        waits.append(seconds)

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(server)) as http:
        phone = make_phone(http=http, wait=wait)
        await phone.add("https://example.org/card.pkpass")
        phone.tags["https://example.org/apple", PASS_TYPE] = "5"
        yield phone


NOT_MODIFIED = httpx2.Response(304)
COMPLAINTS = [
    ({"list": [httpx2.Response(401)]}, "Get serial #s task .* Unexpected response code 401"),
    ({"list": [httpx2.Response(404)]}, "Get serial #s task .* Unexpected response code 404"),
    ({"list": [news("1", tag="5")], "pass": [NOT_MODIFIED]}, r"lastUpdated tag \(5\) remained the same"),
    ({"list": [news("1", lastUpdated=7)]}, "invalid serial numbers data"),
    ({"list": [httpx2.Response(200, text="{}")]}, "invalid serial numbers data"),
    ({"list": [news("1")], "pass": [httpx2.Response(204)]}, "Get pass task .* response code 204"),
    ({"list": [news("1")], "pass": [pkpass(b"junk")]}, "Get pass task .* Received invalid pass data"),
    ({"list": [news("1")], "pass": [pkpass(b"", kind="text/html")]}, "Received invalid pass data"),
]


@pytest.mark.parametrize(("answers", "complaint"), COMPLAINTS)
@pytest.mark.parametrize("database", ["sqlite"])
async def test_a_broken_contract_is_reported_to_the_servers_log(guest, server, answers, complaint):
    server.answers = {kind: list(each) for kind, each in answers.items()}

    await guest.ask(PASS_TYPE)

    assert len(server.logs) == 1
    assert re.search(complaint, server.logs[0])
    assert guest.passes["1"].fetches == 1


@pytest.mark.parametrize("database", ["sqlite"])
async def test_an_unreachable_server_is_tried_again_with_growing_waits(guest, server, waits):
    refused = httpx2.ConnectError("refused")
    server.answers = {
        "list": [refused, httpx2.Response(503), refused, news("1")],
        "pass": [pkpass(server.data)],
    }

    await guest.ask(PASS_TYPE)

    assert waits == list(RETRY_SECONDS[:3])
    assert guest.passes["1"].fetches == 2
    assert len(server.logs) == 1  # the 503


@pytest.mark.parametrize("database", ["sqlite"])
async def test_after_the_last_try_the_phone_gives_up_and_asks_with_the_old_tag_again(guest, server, waits):
    server.answers = {"list": [news("1")], "pass": [httpx2.ConnectError("refused")]}

    await guest.ask(PASS_TYPE)

    assert waits == list(RETRY_SECONDS)
    assert guest.tags["https://example.org/apple", PASS_TYPE] == "5"


async def test_what_a_phone_complains_about_reaches_our_log(app, phone, card):
    await phone.add(card.url)
    async with app.state.services.sessions.begin() as session:
        serial = "0" * 32
        await session.execute(update(Pass).where(Pass.id == card.held.id).values(serial_number=serial))

    await phone.set_automatic_updates(True)

    lines = await rows(app, select(DeviceLog.line))
    assert [line.rpartition(" ")[2] for line in lines] == ["401", "401"]
