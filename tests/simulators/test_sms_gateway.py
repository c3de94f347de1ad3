import asyncio
from contextlib import asynccontextmanager

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from app.simulators.serving import serve
from app.simulators.sms_gateway import SmsGateway, running

SMS = {"to": "+77011234567", "text": "Ваша карта", "client_id": "msg_1", "from": "DALA"}


@asynccontextmanager
async def _gateway(**changes):
    gateway = SmsGateway(**({"api_key": "secret", "receipt_waits": (0.0, 0.0)} | changes))
    headers = {"Authorization": "Bearer secret"}
    async with running(gateway) as url, httpx2.AsyncClient(base_url=url, headers=headers) as client:
        yield gateway, client


@asynccontextmanager
async def _receiver(statuses):
    """An address that takes receipts, answering the given statuses in turn."""
    receipts = asyncio.Queue()
    left = list(statuses)

    async def take(request):
        receipts.put_nowait(await request.json())
        return Response(status_code=left.pop(0))

    async with serve(Starlette(routes=[Route("/receipts", take, methods=["POST"])])) as url:
        yield f"{url}/receipts", receipts


async def test_an_accepted_text_is_priced_and_shown_on_every_listening_phone():
    async with (
        _gateway() as (gateway, client),
        gateway.inbox(SMS["to"]) as first,
        gateway.inbox(SMS["to"]) as second,
        gateway.inbox("+77010000001") as other,
    ):
        answer = await client.post("/messages", json=SMS)
        shown = [await first.get(), await second.get()]
        balance = (await client.get("/balance")).json()

        assert answer.status_code == 201
        assert answer.json() | {"id": ""} == {"id": "", "segments": 1, "cost": "4.50", "currency": "RUB"}
        assert [(sms.sender, sms.text) for sms in shown] == [("DALA", "Ваша карта")] * 2
        assert gateway.received(SMS["to"]) == [shown[0]]
        assert other.empty()
        assert balance == {"balance": "9995.50", "currency": "RUB"}


async def test_a_desk_may_watch_the_texts_of_every_phone():
    async with _gateway() as (gateway, client), gateway.every_inbox() as inbox:
        for number, phone in enumerate(("+77011234567", "+79161234567")):
            await client.post("/messages", json=SMS | {"to": phone, "client_id": f"msg_{number}"})

        shown = [await inbox.get(), await inbox.get()]

    assert [sms.recipient for sms in shown] == ["+77011234567", "+79161234567"]


async def test_a_client_id_sent_twice_is_delivered_once_and_answered_alike():
    async with _gateway() as (gateway, client):
        first = await client.post("/messages", json=SMS)
        second = await client.post("/messages", json=SMS)
        other = await client.post("/messages", json=SMS | {"text": "another"})

        assert second.json() == first.json()
        assert len(gateway.received(SMS["to"])) == 1
        assert other.status_code == 409


async def test_a_message_is_found_by_its_client_id():
    async with _gateway() as (_, client):
        sent = (await client.post("/messages", json=SMS)).json()
        found = await client.get("/messages/msg_1")
        unknown = await client.get("/messages/msg_2")

        assert sent.items() <= found.json().items()
        assert found.json()["status"] in {"sent", "delivered"}
        assert unknown.status_code == 404


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"to": "87011234567"}, 422, "to"),
        ({"to": "+770112345671234567"}, 422, "to"),
        ({"to": 77011234567}, 422, "to"),
        ({"to": "+77011234503"}, 422, "to"),
        ({"text": ""}, 422, "text"),
        ({"client_id": None}, 422, "client_id"),
        ({"from": 5}, 422, "from"),
        ({"text": "я" * 20_000}, 413, "body"),
        ({"text": "я" * 5000}, 402, "balance"),
    ],
)
async def test_what_is_refused_names_the_field_and_rings_no_phone(change, status, field):
    async with _gateway(balance=100) as (gateway, client):
        answer = await client.post("/messages", json=SMS | change)

        assert answer.status_code == status
        assert answer.json()["error"].startswith(f"{field}: ")
        assert gateway.received(SMS["to"]) == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 10_000, b"\xff"])
async def test_a_body_that_is_no_object_is_refused(body):
    async with _gateway() as (_, client):
        assert (await client.post("/messages", content=body)).status_code == 422


@pytest.mark.parametrize("key", ["", "Bearer wrong", "Basic secret", "Bearer"])
async def test_without_the_key_nothing_is_answered(key):
    async with _gateway() as (_, client):
        calls = [("POST", "/messages"), ("GET", "/messages/msg_1"), ("GET", "/balance")]
        answers = [await client.request(*call, headers={"Authorization": key}) for call in calls]

        assert [answer.status_code for answer in answers] == [401, 401, 401]


async def test_a_receipt_follows_the_acceptance_and_is_repeated_until_taken():
    async with _receiver([404, 503, 204]) as (url, receipts), _gateway(receipt_url=url) as (_, client):
        sent = (await client.post("/messages", json=SMS)).json()
        tries = [await receipts.get() for _ in range(3)]

        assert {(r["id"], r["client_id"], r["status"], r["error"]) for r in tries} == {
            (sent["id"], "msg_1", "delivered", None)
        }


async def test_a_number_ending_in_00_is_accepted_and_then_reported_failed():
    async with _receiver([204]) as (url, receipts), _gateway(receipt_url=url) as (gateway, client):
        answer = await client.post("/messages", json=SMS | {"to": "+77011234500"})
        receipt = await receipts.get()

        assert answer.status_code == 201
        assert (receipt["status"], receipt["error"]) == ("failed", "absent_subscriber")
        assert gateway.received("+77011234500") == []


async def test_a_number_ending_in_01_is_busy_once():
    async with _gateway() as (_, client):
        answers = [await client.post("/messages", json=SMS | {"to": "+77011234501"}) for _ in range(2)]

        assert [answer.status_code for answer in answers] == [503, 201]
        assert answers[0].headers["retry-after"] == "1"


async def test_a_number_ending_in_02_is_accepted_without_an_answer():
    async with _gateway() as (gateway, client), gateway.inbox("+77011234502") as inbox:
        sending = asyncio.create_task(client.post("/messages", json=SMS | {"to": "+77011234502"}))
        shown = await inbox.get()
        found = await client.get("/messages/msg_1")
        sending.cancel()

        assert found.json()["id"] == shown.id
        with pytest.raises(asyncio.CancelledError):
            await sending


async def test_stopping_the_gateway_lets_go_of_whoever_waits():
    gateway = SmsGateway(api_key="secret")
    async with httpx2.AsyncClient(headers={"Authorization": "Bearer secret"}) as client:
        async with running(gateway) as url, gateway.inbox("+77011234502") as inbox:
            sending = asyncio.create_task(client.post(f"{url}/messages", json=SMS | {"to": "+77011234502"}))
            await inbox.get()

        assert (await sending).status_code == 201
