from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from app import metrics
from app.errors import PermanentFailure, TemporaryFailure
from app.job_queue import kinds
from app.jobs.send_messages import PATIENCE_SECONDS, give_up, send_message
from app.jobs.table import handlers
from app.members import messages, resending
from app.members.models import Message
from tests.make import NOON, make_program

PHONE = "+79161234567"


@pytest.fixture
def write(services):
    async def write(recipient=PHONE, **fields):
        async with services.sessions.begin() as session:
            program = await make_program(session)
            message = await messages.queue_message(
                session,
                program_id=program.id,
                member_id=None,
                channel="sms",
                purpose="pass_link",
                recipient=recipient,
                text="Ваша карта: https://w.example/p/x",
                now=NOON,
            )
            if fields:
                await session.execute(update(Message).where(Message.id == message.id).values(**fields))
        return message.id

    return write


async def read(services, message_id):
    async with services.sessions() as session:
        return (await session.scalars(select(Message).where(Message.id == message_id))).one()


async def test_a_message_is_handed_over_once_with_its_price(services, world, write):
    message_id = await write()

    for _ in range(2):
        await send_message(services, {"message_id": message_id})

    assert [sms.text for sms in world.sms.received(PHONE)] == ["Ваша карта: https://w.example/p/x"]
    sent = await read(services, message_id)
    assert (sent.state, sent.segments, sent.currency, sent.sent_at) == ("sent", 1, "RUB", NOON)
    assert sent.provider_id


async def test_messages_are_counted_by_what_became_of_them(services, world, write):
    def counted(outcome):
        return metrics.MESSAGES.labels("sms", outcome)._value.get()

    before = [counted(outcome) for outcome in ("sent", "retried")]
    message_id = await write("+79161234501")  # refused once

    with pytest.raises(TemporaryFailure):
        await send_message(services, {"message_id": message_id})
    for _ in range(2):
        await send_message(services, {"message_id": message_id})

    assert [counted(outcome) for outcome in ("sent", "retried")] == [each + 1 for each in before]


async def test_a_busy_gateway_is_tried_again(services, world, write):
    message_id = await write("+79161234501")  # refused once

    with pytest.raises(TemporaryFailure):
        await send_message(services, {"message_id": message_id})
    assert (await read(services, message_id)).state == "queued"
    await send_message(services, {"message_id": message_id})

    assert (await read(services, message_id)).state == "sent"


async def test_a_number_that_does_not_exist_fails_for_good(services, world, write):
    message_id = await write("+79161234503")

    with pytest.raises(PermanentFailure):
        await send_message(services, {"message_id": message_id})

    failed = await read(services, message_id)
    assert failed.state == "failed"
    assert failed.error
    assert "79161234503" not in failed.error


async def test_a_worker_that_died_after_sending_does_not_send_again(services, world, write):
    message_id = await write()
    await send_message(services, {"message_id": message_id})
    async with services.sessions.begin() as session:  # as it was before the answer was written down
        await session.execute(update(Message).values(state="sending", provider_id=None))
    later = replace(services, clock=lambda: NOON + timedelta(seconds=PATIENCE_SECONDS + 1))

    await send_message(later, {"message_id": message_id})

    assert len(world.sms.received(PHONE)) == 1
    found = await read(services, message_id)
    assert found.state == "sent"
    assert found.provider_id


async def test_a_worker_that_died_before_sending_is_made_up_for(services, world, write):
    message_id = await write(state="sending", tried_at=NOON, provider="generic")
    later = replace(services, clock=lambda: NOON + timedelta(seconds=PATIENCE_SECONDS + 1))

    with pytest.raises(TemporaryFailure):
        await send_message(later, {"message_id": message_id})
    await send_message(later, {"message_id": message_id})

    assert len(world.sms.received(PHONE)) == 1


async def test_while_another_worker_may_still_be_sending_nobody_asks_or_sends(services, world, write):
    message_id = await write(state="sending", tried_at=NOON, provider="generic")

    with pytest.raises(TemporaryFailure) as refusal:
        await send_message(services, {"message_id": message_id})

    assert refusal.value.retry_after_seconds == PATIENCE_SECONDS
    assert world.sms.received(PHONE) == []


async def test_an_email_without_a_mail_server_fails_and_says_which_setting(services, write):
    message_id = await write("boss@example.com", channel="email")

    with pytest.raises(PermanentFailure, match="PASSBELL_SMTP_URL"):
        await send_message(services, {"message_id": message_id})

    assert (await read(services, message_id)).state == "failed"


@pytest.mark.parametrize(
    ("state", "becomes"),
    [("queued", "failed"), ("sending", "unknown"), ("sent", "sent"), ("delivered", "delivered")],
)
async def test_a_message_nobody_tries_to_send_any_more_says_so(services, write, state, becomes):
    message_id = await write(state=state)

    await give_up(services, {"message_id": message_id})

    given_up = await read(services, message_id)
    assert (given_up.state, bool(given_up.error)) == (becomes, state != becomes)


async def test_a_message_that_was_given_up_can_be_sent_again(services, world, write):
    message_id = await write("+79161234501")  # refused once
    handler = handlers(services)[kinds.SEND_MESSAGE]
    with pytest.raises(TemporaryFailure):
        await handler.handler({"message_id": message_id})
    await handler.on_hold({"message_id": message_id})

    async with services.sessions.begin() as session:
        given_up = await read(services, message_id)
        await resending.resend(session, given_up.program_id, message_id)
    await handler.handler({"message_id": message_id})

    assert len(world.sms.received("+79161234501")) == 1
