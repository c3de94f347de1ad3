"""The door of all sources: what is authentic is kept before it is answered, and nothing else ever is."""

import random
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import unquote

import pytest
from sqlalchemy import select, update
from starlette.requests import Request
from starlette.responses import Response

from app.crm.known import CRMS
from app.errors import TemporaryFailure
from app.inbox import sources
from app.inbox.models import InboundEvent, Source
from app.jobs.handle_inbound import handle_inbound
from app.members.models import Account
from app.simulators.serving import serve
from tests.crm.senders import FORM, SECRETS, fixture, headers_of
from tests.make import NOON, make_account, make_member, make_program, make_tier

SETTINGS = {
    "generic": {"rules": [{"event": "contact", "phone": "{phone}"}]},
    "shopify": {},
    "hubspot": {},
    "kommo": {"api_url": "http://127.0.0.1:9"},
}
BODIES = {
    "generic": b'{"phone": "+79161234567"}',
    "shopify": fixture("shopify/orders_paid.json"),
    "hubspot": fixture("hubspot/deal_and_contact.json"),
    "kommo": fixture("kommo/lead_status.form"),
}
PATHS = {vendor: f"/hooks/{vendor}" for vendor in SETTINGS} | {"kommo": f"/hooks/kommo/{SECRETS['kommo']}"}
FORGERIES = 10_000


@pytest.fixture
async def connected(services):
    """One source of each kind, by vendor."""
    async with services.sessions.begin() as session:
        program = await make_program(session)
        return {
            vendor: (
                await sources.add(
                    session,
                    services.secret_key,
                    program.id,
                    CRMS[vendor],
                    kind=vendor,
                    slug=vendor,
                    settings=settings,
                    secret=SECRETS[vendor],
                    now=NOON,
                )
            )[0]
            for vendor, settings in SETTINGS.items()
        }


def headers(vendor, body=None, **given):
    return headers_of(vendor, body or BODIES[vendor], url=f"http://test{PATHS[vendor]}", **given)


async def kept(services):
    async with services.sessions() as session:
        return (await session.scalars(select(InboundEvent).order_by(InboundEvent.id))).all()


@pytest.mark.parametrize("vendor", SETTINGS)
async def test_what_is_authentic_is_kept_as_it_came_once(client, services, connected, vendor):
    answers = [
        await client.post(PATHS[vendor], content=BODIES[vendor], headers=headers(vendor)) for _ in range(2)
    ]

    assert [(each.status_code, each.content) for each in answers] == [(202, b"")] * 2
    (event,) = await kept(services)
    assert (event.state, event.body, event.received_at) == ("received", BODIES[vendor], NOON)
    assert event.headers["content-type"] == headers(vendor)["content-type"]
    assert SECRETS["kommo"] not in event.url


@pytest.mark.parametrize("database", ["sqlite"])
async def test_no_secret_and_no_signature_is_kept(client, services, connected):
    secret = {"authorization": "Bearer x", "cookie": "a=b", "x-api-key": "key"}
    await client.post(PATHS["shopify"], content=BODIES["shopify"], headers=headers("shopify") | secret)

    (event,) = await kept(services)
    assert set(event.headers) == {"content-type", "x-shopify-topic", "x-shopify-event-id", "user-agent"}


@pytest.mark.parametrize("database", ["sqlite"])
async def test_a_paused_source_and_an_unknown_one_are_told_apart_by_nobody(client, services, connected):
    async with services.sessions.begin() as session:
        await session.execute(update(Source).where(Source.slug == "generic").values(state="paused"))

    refused = [
        await client.post(path, content=BODIES["generic"], headers=headers("generic"))
        for path in (
            "/hooks/generic",
            "/hooks/nobody",
            "/hooks/shopify",
            "/hooks/kommo/guess",
            "/hooks/kommo",
        )
    ]

    assert {each.status_code for each in refused} == {401}
    assert {tuple(sorted(each.json().keys())) for each in refused} == {
        ("code", "detail", "request_id", "status", "title", "type")
    }
    assert {each.json()["detail"] for each in refused} == {"not accepted"}
    assert await kept(services) == []


@pytest.mark.parametrize("database", ["sqlite"])
async def test_after_a_rotation_both_secrets_are_good_for_a_day(client, app, services, connected, clock):
    async with services.sessions.begin() as session:
        fresh = await sources.rotate(
            session, services.secret_key, connected["shopify"], CRMS["shopify"], secret="n" * 32, now=NOON
        )
    assert fresh == "n" * 32

    async def deliver(event):
        return (
            await client.post(
                PATHS["shopify"], content=BODIES["shopify"], headers=headers("shopify", event=event)
            )
        ).status_code

    first = await deliver("1")
    clock.tick(86_401)
    app.state.sources.forget()

    assert (first, await deliver("2")) == (202, 401)


@pytest.mark.parametrize("database", ["sqlite"])
async def test_ten_thousand_forged_deliveries_are_all_refused(app, services, connected):
    chance = random.Random(7)

    answers = Counter([await _post(app, *_forge(chance)) for _ in range(FORGERIES)])

    assert answers == {401: FORGERIES}
    assert await kept(services) == []


async def _post(app, path, body, given):
    """The status of a POST, without a client's own cost: the application is called as a server calls it."""
    url, _, query = path.partition("?")
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": unquote(url, errors="replace"),
        "raw_path": url.encode(),
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items()],
        "client": ("127.0.0.1", 1),
        "server": ("test", 80),
    }
    statuses = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(scope, receive, send)
    return statuses[0]


def _forge(chance):
    """A delivery that was authentic until one thing about it was changed."""
    vendor = chance.choice(list(SETTINGS))
    path, body, given = PATHS[vendor], bytearray(BODIES[vendor]), headers(vendor)
    if vendor == "kommo":
        place = chance.randrange(len("/hooks/kommo/"), len(path))
        path = path[:place] + chance.choice(["", "x", "%00", "%D0%90"]) + path[place + 1 :]
        return path + "x", bytes(body), given
    proofs = [name for name in given if "signature" in name or "hmac" in name or "webhook-" in name]
    name = chance.choice([each for each in proofs if not each.endswith("version")])
    match chance.randrange(5):
        case 0:
            body[chance.randrange(len(body))] ^= 1 + chance.randrange(255)
        case 1:
            given[name] = _spoilt(chance, given[name])
        case 2:
            del given[name]
        case 3:
            given[name] = chance.choice(
                ["", " ", "v1,", "v1, ,", "\xff" * 40, "0" * 5000, "9" * 30, "-1", "NaN"]
            )
        case _:
            path = PATHS[
                chance.choice([each for each in ("generic", "shopify", "hubspot") if each != vendor])
            ]
    return path, bytes(body), given


def _spoilt(chance, proof):
    place = chance.randrange(len(proof))
    other = chance.choice([each for each in "AZaz09+/=" if each != proof[place]])
    return proof[:place] + other + proof[place + 1 :]


@dataclass
class CrmApi:
    """A CRM's REST API on a socket: answers by path, and remembers who asked."""

    url: str = ""
    status: int = 200
    answers: dict[str, bytes] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return
        self.tokens.add(Request(scope).headers["authorization"])
        answer = self.answers.get(scope["path"])
        status = self.status if answer else 204
        await Response(answer or b"", status, media_type="application/json")(scope, receive, send)


@pytest.fixture
async def crm_api():
    api = CrmApi()
    async with serve(api) as api.url:
        yield api


@pytest.fixture
async def kommo(client, services, crm_api):
    """Anna's won lead is delivered, the CRM answers so, and the job runs; what became of the delivery."""
    async with services.sessions.begin() as session:
        program = await make_program(session)
        await make_tier(session, program, threshold=0, rate_basis_points=500)
        await make_member(session, await make_account(session, program, phone="+79161234567"))

    async def delivered(*, status=200, api_token="token", **answers):  # noqa: S107
        async with services.sessions.begin() as session:
            await sources.add(
                session,
                services.secret_key,
                program.id,
                CRMS["kommo"],
                kind="kommo",
                slug="kommo",
                settings={"api_url": crm_api.url},
                secret=SECRETS["kommo"],
                api_token=api_token,
                now=NOON,
            )
        lead, contact = fixture("kommo/lead.json"), fixture("kommo/contact.json")
        said = {"lead": lead, "contact": contact} | answers
        crm_api.status = status
        crm_api.answers = {"/api/v4/leads/7405": said["lead"], "/api/v4/contacts/501": said["contact"]}
        await client.post(PATHS["kommo"], content=BODIES["kommo"], headers={"content-type": FORM})
        (event,) = await kept(services)
        await handle_inbound(services, {"event_id": event.id})
        return (await kept(services))[0]

    return delivered


async def test_a_deal_of_kommo_is_asked_for_and_moves_points(services, kommo, crm_api):
    event = await kommo()

    assert (event.state, event.attempts) == ("handled", 1)
    async with services.sessions() as session:
        assert (await session.scalars(select(Account.balance))).one() == 100
    assert crm_api.tokens == {"Bearer token"}


@pytest.mark.parametrize("database", ["sqlite"])
@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"status": 401}, "crm_refused"),  # the token is past its date
        ({"status": 403}, "crm_refused"),
        ({"api_token": None}, "no_api_token"),
        ({"lead": b'{"id": 7405, "price": 2000, "status_id": 142}'}, "no_person"),  # a deal without a contact
        ({"contact": b'{"id": 501, "name": "Anna"}'}, "no_phone"),
        ({"lead": b'{"id": 7405, "price": -1, "status_id": 142}'}, "negative_amount"),
    ],
)
async def test_what_the_crm_leaves_open_rests_with_a_reason(kommo, answers, reason):
    event = await kommo(**answers)

    assert (event.state, event.reason) == ("rested", reason)


@pytest.mark.parametrize("database", ["sqlite"])
@pytest.mark.parametrize("answers", [{"lead": b"<html>Sorry"}, {"status": 502}, {"status": 429}])
async def test_a_crm_that_is_away_is_asked_again(kommo, services, crm_api, answers):
    with pytest.raises(TemporaryFailure):
        await kommo(**answers)

    (event,) = await kept(services)
    assert (event.state, event.attempts) == ("received", 1)


@pytest.mark.parametrize("database", ["sqlite"])
async def test_a_deal_that_is_gone_does_nothing(kommo):
    event = await kommo(lead=b"")

    assert (event.state, event.details) == ("handled", {"did": []})
