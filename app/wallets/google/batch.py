"""A batch as it travels: multipart/mixed, one request in each part, answers found by their Content-ID."""

import re
from collections.abc import Mapping, Sequence
from email.message import Message
from email.parser import BytesParser
from typing import Any, cast

import orjson

from app.wallets.google.errors import Answer

CALLS_MAX = 50  # the client library allows 1000; Google publishes nothing

_BOUNDARY = "passbell_batch"
_ANSWERING = re.compile(r"<?response-call-([0-9]+)>?")
_STATUS = re.compile(r"HTTP/[0-9.]+ ([0-9]{3})")


def written(calls: Sequence[tuple[str, str, Mapping[str, Any] | None]]) -> tuple[str, bytes]:
    """The content type and body of these calls: (method, path with query, body)."""
    parts: list[bytes] = []
    for number, (method, target, body) in enumerate(calls):
        content = b"" if body is None else orjson.dumps(body)
        head = (
            f"--{_BOUNDARY}\r\nContent-Type: application/http\r\nContent-ID: <call-{number}>\r\n\r\n"
            f"{method} {target} HTTP/1.1\r\nContent-Type: application/json\r\n\r\n"
        )
        parts += [head.encode(), content, b"\r\n"]
    return f"multipart/mixed; boundary={_BOUNDARY}", b"".join(parts) + f"--{_BOUNDARY}--".encode()


def read(content_type: str, body: bytes) -> dict[int, Answer]:
    """The answers by the number of their call; those that cannot be read are left out."""
    whole = BytesParser().parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    if not whole.is_multipart():
        return {}
    answers: dict[int, Answer] = {}
    for part in cast("list[Message]", whole.get_payload()):
        number = _ANSWERING.fullmatch(str(part.get("Content-ID", "")))
        answer = _answer(cast("bytes", part.get_payload(decode=True)))
        if number and answer:
            answers[int(number[1])] = answer
    return answers


def _answer(text: bytes) -> Answer | None:
    head, _, body = text.replace(b"\r\n", b"\n").lstrip().partition(b"\n\n")
    status = _STATUS.match(head.decode(errors="replace"))
    try:
        fields: object = orjson.loads(body) if body.strip() else {}
    except ValueError:
        return None
    if status is None or not isinstance(fields, dict):
        return None
    return Answer(int(status[1]), cast("dict[str, Any]", fields))
