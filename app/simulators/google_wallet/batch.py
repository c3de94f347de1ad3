"""The batch: many requests in one multipart body, each answered by itself, in no promised order."""

import json
from collections.abc import Sequence
from email.message import Message
from email.parser import BytesParser, HeaderParser
from typing import cast
from urllib.parse import parse_qsl, urlsplit

from app.simulators.google_wallet.answers import Body, Call, Reply, bad_request

PREFIX = "/walletobjects/v1/"
CALLS_MAX = 1000
BOUNDARY = "batch_passbell_simulator"


def calls_in(content_type: str, body: bytes, authorization: str) -> list[tuple[str, Call]]:
    """Each part's Content-ID and request. Raises Refused."""
    whole = BytesParser().parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    if not whole.is_multipart():
        raise bad_request("Failed to parse batch request: no multipart body.")
    parts = cast("list[Message]", whole.get_payload())
    if len(parts) > CALLS_MAX:
        raise bad_request(f"The batch has {len(parts)} calls; the limit is {CALLS_MAX}.")
    return [(str(part.get("Content-ID", "")), _call(part, authorization)) for part in parts]


def _call(part: Message, authorization: str) -> Call:
    text = cast("bytes", part.get_payload(decode=True)).decode()
    line, _, rest = text.lstrip().partition("\n")
    method, _, target = line.strip().partition(" ")
    head, _, body = rest.replace("\r\n", "\n").partition("\n\n")
    headers = HeaderParser().parsestr(head)
    split = urlsplit(target.removesuffix(" HTTP/1.1"))
    return Call(
        method=method,
        path=split.path.removeprefix(PREFIX),
        query=dict(parse_qsl(split.query)),
        body=cast("Body", json.loads(body)) if body.strip() else None,
        authorization=headers.get("Authorization", authorization),
    )


def written(replies: Sequence[tuple[str, Reply]]) -> tuple[str, bytes]:
    """The content type and body that answer a batch."""
    parts = [
        f"--{BOUNDARY}\r\nContent-Type: application/http\r\nContent-ID: {_answering(content_id)}\r\n\r\n"
        f"HTTP/1.1 {reply.status} {reply.status}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n"
        f"{json.dumps(reply.body)}\r\n"
        for content_id, reply in replies
    ]
    return f"multipart/mixed; boundary={BOUNDARY}", ("".join(parts) + f"--{BOUNDARY}--").encode()


def _answering(content_id: str) -> str:
    return f"<response-{content_id.removeprefix('<')}"
