"""A letter that bounces, or annoys: its reader gets no more, whichever way we hear of it."""

import pytest
from sqlalchemy import select

from app.campaigns.models import Suppression
from app.errors import PermanentFailure
from app.jobs.send_messages import send_message
from app.members.messages import queue_message
from app.members.models import Message
from app.wiring import reports_token
from tests.channels.test_bounces import BOUNCE, COMPLAINT
from tests.flows.test_manager_email import app_settings, mail  # noqa: F401
from tests.make import NOON, make_account, make_member, make_program


@pytest.fixture
async def member(services):
    async with services.sessions.begin() as session:
        program = await make_program(session)
        return await make_member(session, await make_account(session, program), email="anna@example.com")


async def letter(services, member, *, is_sent=True):
    async with services.sessions.begin() as session:
        message = await queue_message(
            session,
            program_id=member.program_id,
            member_id=member.id,
            channel="email",
            purpose="campaign",
            recipient="anna@example.com",
            text="Hello",
            subject="News",
            now=NOON,
        )
        if is_sent:
            message.state, message.sent_at = "sent", NOON
        return message.id


async def suppressed(services):
    async with services.sessions() as session:
        return [(each.channel, each.reason) for each in await session.scalars(select(Suppression))]


async def state(services, message_id):
    async with services.sessions() as session:
        message = await session.get_one(Message, message_id)
        return message.state, message.error


async def report(client, services, message_id, mail_, *, token=None):
    body = mail_.replace(b"msg_1@", f"{message_id}@".encode())
    token = token or reports_token(services.secret_key)
    return await client.post(f"/hooks/email/{token}", content=body)


async def test_a_bounce_from_a_bad_address_ends_all_letters_to_it(client, services, member):
    message_id = await letter(services, member)

    for _ in range(2):  # a mail server may say it again
        answer = await report(client, services, message_id, BOUNCE)

    assert answer.json() == {"message_id": message_id, "outcome": "bounced", "suppressed": True}
    assert await state(services, message_id) == ("failed", "bounced 5.1.1")
    assert await suppressed(services) == [("email", "bounced")]


async def test_a_complaint_ends_all_letters_and_leaves_the_letter_sent(client, services, member):
    message_id = await letter(services, member)

    await report(client, services, message_id, COMPLAINT)

    assert await state(services, message_id) == ("sent", None)
    assert await suppressed(services) == [("email", "complained")]


async def test_full_mailboxes_count_three_in_a_row(client, services, member):
    full = BOUNCE.replace(b"Status: 5.1.1", b"Status: 5.2.2")
    arrived = BOUNCE.replace(b"Action: failed", b"Action: delivered")

    answers = []
    for mail_ in (full, full, arrived, full, full, full):
        answers.append((await report(client, services, await letter(services, member), mail_)).json())

    assert [each["suppressed"] for each in answers] == [False] * 5 + [True]


async def test_a_server_that_knows_no_such_address_is_believed_at_once(services, member, mail):  # noqa: F811
    mail.answers["RCPT"] = "550 5.1.1 no such user"
    message_id = await letter(services, member, is_sent=False)
    async with services.sessions.begin() as session:
        message = await session.get_one(Message, message_id)
        message.purpose = "new_member"  # a campaign's would ask for the consent first

    with pytest.raises(PermanentFailure):
        await send_message(services, {"message_id": message_id})

    assert await state(services, message_id) == ("failed", "bounced 5.1.1")
    assert await suppressed(services) == [("email", "bounced")]


async def test_a_server_that_refuses_us_says_nothing_of_the_address(services, member, mail):  # noqa: F811
    mail.answers["RCPT"] = "550 5.7.1 we do not like you"
    message_id = await letter(services, member, is_sent=False)
    async with services.sessions.begin() as session:
        (await session.get_one(Message, message_id)).purpose = "new_member"

    with pytest.raises(PermanentFailure):
        await send_message(services, {"message_id": message_id})

    assert await suppressed(services) == []


async def test_what_is_no_report_or_no_letter_of_ours_is_refused(client, services, member):
    message_id = await letter(services, member)

    assert (await report(client, services, message_id, b"Subject: hi\r\n\r\n")).status_code == 422
    assert (await report(client, services, "msg_2", BOUNCE)).status_code == 404
    assert (await report(client, services, message_id, BOUNCE, token="guessed")).status_code == 404
    assert await state(services, message_id) == ("sent", None)
    assert await suppressed(services) == []
