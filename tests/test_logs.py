"""Logs: one line an event, and no phone number, token or key in it, wherever it was put."""

import io
import json
import logging
import math
import sys
import time
from collections.abc import Iterator

import pytest
import structlog

from app import logs

SECRETS = {
    "phone": ("+79123456789", "79123456"),
    "phone as it is typed": ("+7 (912) 345-67-89", "345-67"),
    "phone in an address": ("GET /send?to=%2B79123456789&a=1", "9123456"),
    "phone in bare digits": ("no route to 79123456789", "9123456"),
    "link": ("opened https://ex.ru/p/Zx9-AbCdEfGhIjKlMnOpQr", "AbCdEfGh"),
    "receipt address": ("POST /hooks/sms/0123456789abcdef0123456789abcdef", "89abcdef"),
    "push token": ("device " + "ab12" * 16, "ab12" * 10),
    "push token in capitals": ("device " + "AB12" * 16, "AB12" * 10),
    "pass token": ("Authorization: ApplePass s3cr3tc4n4ry", "s3cr3tc4n4ry"),
    "pass token of Android": ("AndroidPass s3cr3tc4n4ry", "s3cr3tc4n4ry"),
    "bearer": ("authorization: BEARER s3cr3tc4n4ry", "s3cr3tc4n4ry"),
    "basic": ("{'Authorization': 'Basic czNjcjN0Og=='}", "czNjcjN0Og"),
    "API key": ("key pb_live_01abc_s3cr3tc4n4ry_99 is unknown", "s3cr3tc4n4ry"),
    "JWT": ("sent eyJhbGciOi.eyJpc3MiOi.c4n4ry", "c4n4ry"),
    "database password": ("postgresql://user:c4n4ry@db/x is away", "c4n4ry"),
    "password in a form": ("login=a&psw=c4n4ry&to=1", "c4n4ry"),
    "password in JSON": ('{"password": "c4n4ry", "a": 1}', "c4n4ry"),
    "pass JSON": ("{'authenticationToken': 'c4n4ry'}", "c4n4ry"),
    "list of tokens": ('{"pushTokens": ["c4n4ry"]}', "c4n4ry"),
}


@pytest.fixture
def stderr() -> Iterator[io.StringIO]:
    """Where `configure` sends the logs, as long as a test runs."""
    root, level, stream = logging.getLogger(), logging.getLogger().level, io.StringIO()
    yield stream
    root.handlers = [each for each in root.handlers if getattr(each, "stream", None) is not stream]
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def configure(stderr, monkeypatch):
    def configure(level: str, log_format: str) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stderr", stderr)
            logs.configure(level, log_format)

    return configure


@pytest.fixture
def read(configure, stderr):
    """What was logged, parsed: every line must be JSON."""
    configure("debug", "json")
    return lambda: [json.loads(line) for line in stderr.getvalue().splitlines()]


@pytest.mark.parametrize(("text", "canary"), SECRETS.values(), ids=SECRETS)
def test_a_secret_comes_out_of_no_part_of_a_line(read, text, canary):
    ours, theirs = structlog.get_logger("ours"), logging.getLogger("theirs")

    ours.info(text)
    ours.info("event", field=text, nested={"list": [text, {text: text}], "tuple": (text,)}, raw=text.encode())
    ours.info("event %s", text)
    theirs.info("event %s", text)
    theirs.info("event", extra={"field": text})
    ours.info("event", error=ValueError(text))
    try:
        raise ValueError(text)
    except ValueError:
        ours.exception("event")
        theirs.exception("event")

    lines = read()
    assert len(lines) == 8
    assert canary not in json.dumps(lines, ensure_ascii=False)
    assert canary not in str(lines)


HIDDEN = (
    *("password", "apple_private_key_password", "Authorization", "X-API-Key", "sms_api_key", "push_token"),
    *("authenticationToken", "secret_key", "pin", "phone", "recipient", "email", "Cookie"),
)


@pytest.mark.parametrize("name", HIDDEN)
def test_a_field_is_hidden_by_its_name_at_any_depth(read, name):
    structlog.get_logger("ours").info(
        "event", **{name: "c4n4ry"}, headers={name: ["c4n4ry"]}, row=[{name: 4711}]
    )

    (line,) = read()
    assert (line[name], line["headers"], line["row"]) == ("…", {name: "…"}, [{name: "…"}])


def test_what_is_no_secret_stays(read):
    said = {
        "request_id": "req_01m81szrf2epn8mzve70hznyz7",
        "path": "/apple/v1/passes/pass.org.example/0123456789abcdef0123456789abcdef",
        "status": 200,
        "ms": 1.5,
        "shipping": "mapping",
        "apns_id": "4b1c2d3e-0000-4000-8000-123456789012",
        "at": "2030-06-03T12:00:00.123456+00:00",
        "none": None,
        "yes": True,
    }
    structlog.get_logger("ours").info("event", **said)

    (line,) = read()
    assert {name: line[name] for name in said} == said


def test_four_digits_of_a_phone_stay_to_compare_by():
    assert logs.scrub("to +7 (912) 345-67-89.") == "to +…6789."


HOSTILE = (
    *("a\r\nb", "\x1b[2J\x1b[31mred", '{"event": "real"}\n{"event": "forged"}', "\u2028\u2029\x85", "\x00"),
    *("\ud800", math.nan, math.inf, b"\n", object(), {1: {2: "\n"}}, {"\n"}, ValueError("\n")),
)


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_an_event_is_one_line_of_json_whatever_the_value(read, value, monkeypatch):
    # pytest keeps logs for its report, and pytest-xdist cannot hand over a report with half a surrogate pair.
    ours = [each for each in logging.getLogger().handlers if not type(each).__module__.startswith("_pytest")]
    monkeypatch.setattr(logging.getLogger(), "handlers", ours)

    structlog.get_logger("ours").info("event", value=value)
    logging.getLogger("theirs").info("%s", value)

    assert [line["level"] for line in read()] == ["info", "info"]


def test_a_megabyte_is_cut_short(read):
    structlog.get_logger("ours").info("event", value="x" * 1_000_000)

    (line,) = read()
    assert len(line["value"]) == logs.LONGEST


def test_on_a_terminal_no_value_moves_the_cursor_or_begins_a_line(configure, stderr):
    configure("debug", "console")

    structlog.get_logger("ours").info("event", value="\x1b[2J\r\nforged", phone="+79123456789")

    said = stderr.getvalue()
    assert said.count("\n") == 1
    assert "\\x1b[2J\\x0d\\x0aforged" in said
    assert "\r" not in said
    assert "79123456" not in said


def test_the_level_is_the_one_asked_for(configure, read):
    configure("warning", "json")

    structlog.get_logger("ours").info("quiet")
    logging.getLogger("theirs").warning("loud")

    assert [line["event"] for line in read()] == ["loud"]


@pytest.mark.parametrize(
    "part", ["a", "token", "a1", "eyJ", "-eyJ", "a://", "a:", "pin=[", "/p/eyJ", "Bearer "]
)
def test_a_long_hostile_path_does_not_keep_the_process_busy(part: str) -> None:
    path = (part * logs.LONGEST)[: logs.LONGEST]
    started = time.process_time()

    logs.scrub(path)

    assert time.process_time() - started < 0.5  # about 0.01 as it is; a quadratic pattern takes seconds
