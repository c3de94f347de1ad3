"""Delivery receipts come to an address that only the provider knows."""

import pytest
from sqlalchemy import select

from app.members.models import Message
from app.settings import Settings
from tests.make import NOON, make_program

pytestmark = pytest.mark.parametrize("database", ["sqlite"])
PATH = "/hooks/sms/a-secret-address"


@pytest.fixture
def app_settings(app_settings: Settings) -> Settings:
    changed = {
        "sms_provider": "generic",
        "sms_api_url": "http://127.0.0.1:9/send",
        "sms_api_key": "key",
        "sms_receipt_token": "a-secret-address",
    }
    return Settings.model_validate(app_settings.model_dump() | changed)


@pytest.fixture
async def sent(services):
    """A message that the provider took as number 4711."""
    async with services.sessions.begin() as session:
        program = await make_program(session)
        session.add(
            Message(
                id="msg_1",
                program_id=program.id,
                channel="sms",
                purpose="pass_link",
                recipient="+79123456789",
                text="Ваша карта",
                state="sent",
                provider=services.sms.name,
                provider_id="4711",
                created_at=NOON,
            )
        )

    async def state() -> str:
        async with services.sessions() as session:
            return (await session.scalars(select(Message.state))).one()

    return state


async def test_a_delivered_message_is_noted_and_stays_so(client, sent):
    delivered = {"id": "4711", "status": "delivered"}
    answers = [
        await client.post(PATH, json=each)
        for each in (delivered, delivered, delivered | {"status": "failed"})
    ]

    assert [(each.status_code, each.json()) for each in answers] == [
        (200, {"accepted": 1}),
        (200, {"accepted": 0}),
        (200, {"accepted": 0}),
    ]
    assert await sent() == "delivered"


async def test_a_receipt_for_nobodys_message_is_taken_and_changes_nothing(client, sent):
    answer = await client.post(PATH, json={"id": "4712", "status": "failed"})

    assert (answer.status_code, answer.json()) == (200, {"accepted": 0})
    assert await sent() == "sent"


@pytest.mark.parametrize("path", ["/hooks/sms/wrong", "/hooks/sms/%C3%A9", "/hooks/sms/a-secret-addres"])
async def test_at_any_other_address_there_is_nothing(client, sent, path):
    answer = await client.post(path, json={"id": "4711", "status": "delivered"})

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert await sent() == "sent"


@pytest.mark.parametrize("body", [b"", b"{", b"null", b'"x"', b'{"id": {}}', b"\xff", b"[" * 10_000])
async def test_what_is_no_receipt_is_a_problem(client, sent, body):
    answer = await client.post(PATH, content=body, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (422, "bad_receipt")
    assert await sent() == "sent"


async def test_the_secret_address_is_in_no_problem(client):
    answer = await client.post(PATH, content=b"{")

    assert "a-secret-address" not in answer.text
