"""A stranger fills in the form, and the programme's manager has a letter about it: form, job, mail server."""

import asyncio
from email import message_from_bytes
from email.policy import default

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from app.enrolment.models import Form
from app.jobs.running import working
from app.members.models import Message
from tests.channels.test_email import MailServer
from tests.job_queue.conftest import until
from tests.make import NOON, make_program
from tests.web.test_enrolment import DEFINITION, FILLED


@pytest.fixture
async def mail():
    """A mail server, and what it was given."""
    mail = MailServer()
    async with await asyncio.start_server(mail.talk, "127.0.0.1", 0) as listening:
        mail.port = listening.sockets[0].getsockname()[1]
        yield mail
        await asyncio.gather(*mail.talks)


@pytest.fixture
def app_settings(app_settings, mail):
    changes = {
        "mode": "production",
        "apple_certificate_path": None,
        "proof_of_work_cost": 0,
        "smtp_url": SecretStr(f"smtp://127.0.0.1:{mail.port}"),
        "email_from": "Passbell <cards@example.com>",
    }
    return app_settings.model_copy(update=changes)


async def test_the_manager_has_one_letter_for_one_new_member(client, clock, services, mail):
    async with services.sessions.begin() as session:
        program = await make_program(session, name="Coffee House", manager_email="boss@example.com")
        session.add(
            Form(
                id="frm_1",
                program_id=program.id,
                slug="card",
                definition=DEFINITION,
                opening_points=0,
                is_open=True,
                created_at=NOON,
            )
        )

    async with working(services):
        for _ in range(2):  # the second time they are known
            assert (await client.post("/join/card", data=FILLED)).status_code == 303
            clock.tick(120)
        await until(lambda: everything_is_sent(services, messages=3))

    (letter,) = [message_from_bytes(each, policy=default) for each in mail.letters]
    assert (letter["To"], letter["From"]) == ("boss@example.com", "Passbell <cards@example.com>")
    assert "Coffee House" in letter["Subject"]
    assert "Anna" in letter.get_body(("plain",)).get_content()


async def everything_is_sent(services, *, messages: int) -> bool:
    async with services.sessions() as session:
        states = (await session.scalars(select(Message.state))).all()
    return states == ["sent"] * messages
