import asyncio
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.policy import default

import pytest

from app.channels.email import Email, EmailSender, Server, WrongEmailSettings, open_email
from app.channels.sms import OutcomeUnknown
from app.errors import PermanentFailure, TemporaryFailure
from app.settings import Settings

EMAIL = Email("manager@example.com", "Новый участник", "Айгуль\n.\nпришла", "<p>Айгуль</p>", "msg_1")


class MailServer:
    """Enough of RFC 5321 to take a letter; `answers` replaces the reply to a verb, None hangs up."""

    def __init__(self, answers=None):
        self.answers = {
            "EHLO": "250-mail.example\r\n250 AUTH PLAIN",
            "AUTH": "235 ok",
            "MAIL": "250 ok",
            "RCPT": "250 ok",
            "DATA": "354 go on",
            ".": "250 taken",
            "QUIT": "221 bye",
        } | (answers or {})
        self.lines = []
        self.talks = set()
        self.letters = []

    async def talk(self, reader, writer):
        self.talks.add(asyncio.current_task())
        writer.write(b"220 mail.example ESMTP\r\n")
        while line := (await reader.readline()).decode().strip():
            self.lines.append(line)
            verb = line.split()[0].upper()
            if not self._answer(writer, verb):
                break
            if verb == "DATA" and self.answers["DATA"].startswith("354"):
                self.letters.append(await reader.readuntil(b"\r\n.\r\n"))
                if not self._answer(writer, "."):
                    break
        writer.close()

    def _answer(self, writer, verb):
        answer = self.answers[verb]
        if answer is None:
            return False
        writer.write(f"{answer}\r\n".encode())
        return verb != "QUIT"


@asynccontextmanager
async def _sender(answers=None, **server):
    mail = MailServer(answers)
    listening = await asyncio.start_server(mail.talk, "127.0.0.1", 0)
    async with listening:
        address = Server("127.0.0.1", listening.sockets[0].getsockname()[1], **server)
        yield EmailSender(address, "Пассбелл <cards@example.com>", deadline_seconds=2), mail
        await asyncio.gather(*mail.talks)


async def test_a_letter_arrives_whole_in_both_forms():
    async with _sender() as (sender, mail):
        await sender.send(EMAIL)

    letter = message_from_bytes(mail.letters[0].replace(b"\r\n..", b"\r\n."), policy=default)
    assert (letter["From"], letter["To"]) == ("Пассбелл <cards@example.com>", "manager@example.com")
    assert (letter["Subject"], letter["Message-ID"]) == ("Новый участник", "<msg_1@example.com>")
    assert letter.get_body(("plain",)).get_content().split() == ["Айгуль", ".", "пришла"]
    assert "<p>Айгуль</p>" in letter.get_body(("html",)).get_content()
    assert any(line.upper().startswith("MAIL FROM:<CARDS@EXAMPLE.COM>") for line in mail.lines)


async def test_the_password_is_given_to_the_server():
    async with _sender(username="shop", password="pw") as (sender, mail):
        await sender.send(EMAIL)

    assert "AUTH PLAIN AHNob3AAcHc=" in mail.lines


@pytest.mark.parametrize(
    ("answers", "failure"),
    [
        ({"EHLO": None}, TemporaryFailure),
        ({"MAIL": None}, TemporaryFailure),
        ({"MAIL": "451 later"}, TemporaryFailure),
        ({"RCPT": "450 greylisted manager@example.com"}, TemporaryFailure),
        ({"RCPT": "550 no manager@example.com here"}, PermanentFailure),
        ({"DATA": "452 full"}, TemporaryFailure),
        ({"DATA": "554 no"}, PermanentFailure),
        ({"DATA": None}, OutcomeUnknown),
        ({".": "451 later"}, TemporaryFailure),
        ({".": "554 spam"}, PermanentFailure),
        ({".": None}, OutcomeUnknown),
    ],
)
async def test_each_answer_has_its_outcome(answers, failure):
    async with _sender(answers) as (sender, _):
        with pytest.raises(failure) as failed:
            await sender.send(EMAIL)

    assert type(failed.value) is failure
    assert "manager@" not in str(failed.value)


async def test_a_lost_goodbye_changes_nothing():
    async with _sender({"QUIT": None}) as (sender, mail):
        await sender.send(EMAIL)

    assert len(mail.letters) == 1


async def test_a_wrong_password_is_final():
    async with _sender({"AUTH": "535 no"}, username="shop", password="pw") as (sender, _):
        with pytest.raises(PermanentFailure, match="535"):
            await sender.send(EMAIL)


async def test_a_server_that_is_not_there_may_be_tried_again():
    async with _sender() as (sender, _):
        pass
    with pytest.raises(TemporaryFailure):
        await sender.send(EMAIL)


@pytest.mark.parametrize(
    "change",
    [
        {"recipient": "manager@example.com\r\nBcc: all@example.com"},
        {"recipient": ""},
        {"recipient": "nobody"},
        {"subject": "Hello\r\nBcc: all@example.com"},
        {"message_id": "msg\r\nBcc: all@example.com"},
    ],
)
async def test_nothing_can_be_smuggled_into_the_head_of_a_letter(change):
    async with _sender() as (sender, mail):
        with pytest.raises(PermanentFailure):
            await sender.send(Email(**(vars(EMAIL) | change)))

    assert mail.letters == []


async def test_an_address_the_server_cannot_take_is_refused():
    async with _sender() as (sender, _):
        with pytest.raises(PermanentFailure):
            await sender.send(Email(**(vars(EMAIL) | {"recipient": "айгуль@example.com"})))


def test_without_a_server_there_is_no_sender():
    assert open_email(Settings(_env_file=None)) is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"smtp_url": "smtp://h"}, "EMAIL_FROM is needed"),
        ({"smtp_url": "smtp://h", "email_from": "nobody"}, "EMAIL_FROM: write"),
        ({"smtp_url": "http://h", "email_from": "a@b.example"}, "SMTP_URL: write"),
        ({"smtp_url": "smtp://", "email_from": "a@b.example"}, "SMTP_URL: write"),
        ({"smtp_url": "smtp://h:port", "email_from": "a@b.example"}, "SMTP_URL: write"),
    ],
)
def test_wrong_settings_are_named(settings, words):
    with pytest.raises(WrongEmailSettings, match=words):
        open_email(Settings(_env_file=None, **settings))
