"""Every endpoint against hostile input: the answer is a 4xx problem, and never a failure of ours."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from app.web.api.openapi import document

PATHS = document()["paths"]
OPERATIONS = [(method.upper(), path) for path, operations in PATHS.items() for method in operations]
WITH_BODY = [(method, path) for method, path in OPERATIONS if "requestBody" in PATHS[path][method.lower()]]
IN_PATH = [(method, path) for method, path in OPERATIONS if "{" in path]
QUERIES = [
    (path, parameter["name"])
    for method, path in OPERATIONS
    for parameter in PATHS[path][method.lower()].get("parameters", [])
    if parameter["in"] == "query"
]

pytestmark = pytest.mark.parametrize("database", ["postgresql"])  # it refuses what SQLite would swallow

DEEP = b'{"a":' * 20_000 + b"1" + b"}" * 20_000
BODIES: dict[str, bytes] = {
    "no JSON": b"points=1",
    "half of it": b'{"points": ',
    "nothing but a byte order mark": b"\xef\xbb\xbf",
    "no UTF-8": b'{"name": "\xff\xfe"}',
    "nested deeply": DEEP,
    "lists nested deeply": b"[" * 50_000 + b"]" * 50_000,
    "a number of 5,000 digits": b'{"points": ' + b"9" * 5_000 + b"}",
    "not a number": b'{"points": NaN}',
    "a list": b"[]",
    "a string": b'"x"',
    "a number": b"1",
    "an unknown field": b'{"no_such_field": 1}',
    "an unknown field named by a lone surrogate": b'{"\\ud800": 1}',
    "an unknown field with NUL in its name": b'{"\\u0000": 1}',
    "an unknown field with a long name": json.dumps({"x" * 10_000: 1}).encode(),
}


async def send(
    client: httpx2.AsyncClient, method: str, path: str, body: bytes | None = None, **query: str
) -> httpx2.Response:
    url = path.removeprefix("/api/v1")
    return await client.request(
        method, url, content=body, params=query or None, headers={"Content-Type": "application/json"}
    )


def assert_refused(answer: httpx2.Response) -> dict[str, Any]:
    assert 400 <= answer.status_code < 500, answer.text[:500]
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["code"]
    assert problem["detail"]
    return problem


@pytest.mark.parametrize(("method", "path"), WITH_BODY)
async def test_a_hostile_body_is_refused(client: httpx2.AsyncClient, method: str, path: str) -> None:
    concrete = (
        path.replace("{account_id}", "acc_x").replace("{member_id}", "mem_x").replace("{pass_id}", "pas_x")
    )
    concrete = concrete.replace("{message_id}", "msg_x")
    for what, body in BODIES.items():
        problem = assert_refused(await send(client, method, concrete, body))
        assert len(json.dumps(problem)) < 5_000, what


async def test_a_huge_body_is_refused_unread(client: httpx2.AsyncClient) -> None:
    for method, path in WITH_BODY:
        problem = assert_refused(await send(client, method, path, b'{"name": "' + b"x" * 300_000 + b'"}'))
        assert (problem["status"], problem["code"]) == (413, "body_too_large")


async def test_a_huge_body_of_no_declared_length_is_refused_too(client: httpx2.AsyncClient) -> None:
    async def drips() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 10_000

    answer = await client.post("/members", content=drips(), headers={"Content-Type": "application/json"})

    assert assert_refused(answer)["code"] == "body_too_large"


@pytest.mark.parametrize(("method", "path"), IN_PATH)
async def test_a_bad_id_is_refused(client: httpx2.AsyncClient, method: str, path: str) -> None:
    body = {"PUT": b'{"automatic": true}', "PATCH": b"{}"}.get(method)
    if path.endswith("/transactions"):
        body = b'{"kind":"earn","points":1}'

    for bad in ("none", "%00", "a%00b", "x" * 65, "..%2f..", "%F0%9F%92%A9", "'; --", "ext:a:b"):
        url = path
        for name in ("account_id", "member_id", "pass_id", "message_id", "name"):
            url = url.replace(f"{{{name}}}", bad)
        assert_refused(await send(client, method, url, body))


async def test_a_bad_query_is_refused_or_finds_nothing(client: httpx2.AsyncClient) -> None:
    for path, name in QUERIES:
        for bad in ("\0", "x" * 300, "9" * 30, "-1"):
            answer = await send(client, "GET", path.replace("{account_id}", "acc_x"), **{name: bad})
            if answer.status_code != 200:
                assert_refused(answer)
            else:
                assert answer.json()["data"] == [], (path, name, bad)


_NAMES = {"name": "Anna"}
FIELDS: list[tuple[str, str, dict[str, Any], str]] = [
    ("POST", "/members", {"name": "a\0b"}, "/body/name"),
    ("POST", "/members", {"name": "x" * 129}, "/body/name"),
    ("POST", "/members", {"name": 1}, "/body/name"),
    ("POST", "/members", {"name": None}, "/body/name"),
    ("POST", "/members", _NAMES | {"phone": ["1"]}, "/body/phone"),
    ("POST", "/members", _NAMES | {"phone": "1" * 33}, "/body/phone"),
    ("POST", "/members", _NAMES | {"email": "x@y\0.z"}, "/body/email"),
    ("POST", "/members", _NAMES | {"birthday": "2012-02-30"}, "/body/birthday"),
    ("POST", "/members", _NAMES | {"language": "xx\0"}, "/body/language"),
    ("POST", "/members", _NAMES | {"card_number": "a\0"}, "/body/card_number"),
    ("POST", "/members", _NAMES | {"external_ids": [{"source": "a", "id": "\0"}]}, "/body/external_ids/0/id"),
    ("POST", "/members", _NAMES | {"opening_points": 2**64}, "/body/opening_points"),
    ("POST", "/members", _NAMES | {"issue_pass": "yes"}, "/body/issue_pass"),
    ("PATCH", "/members/mem_x", {"name": "\0"}, "/body/name"),
    ("POST", "/accounts/acc_x/transactions", {"kind": "earn", "points": 2**64}, "/body/points"),
    ("POST", "/accounts/acc_x/transactions", {"kind": "earn", "points": -(2**64)}, "/body/points"),
    (
        "POST",
        "/accounts/acc_x/transactions",
        {"kind": "earn", "points": 1, "source_event": "\0"},
        "/body/source_event",
    ),
    (
        "POST",
        "/accounts/acc_x/transactions",
        {"kind": "earn", "points": 1, "source": "x" * 65},
        "/body/source",
    ),
    ("POST", "/accounts/acc_x/transactions", {"kind": "reverse", "reverses": "\0"}, "/body/reverses"),
    ("PUT", "/accounts/acc_x/tier", {"code": "\0"}, "/body/code"),
    ("POST", "/passes", {"member_id": "\0"}, "/body/member_id"),
    ("POST", "/passes/pas_x/void", {"reason": "\0"}, "/body/reason"),
    ("POST", "/passes/pas_x/link", {"send": 1}, "/body/send"),
    ("POST", "/messages/msg_x/resend", {"may_arrive_twice": "true"}, "/body/may_arrive_twice"),
    ("PATCH", "/program", {"time_zone": "Mars/Olympus"}, "/body/time_zone"),
    ("PATCH", "/program", {"points_expire_after_days": 2**31}, "/body/points_expire_after_days"),
    ("PATCH", "/program", {"name": "\0"}, "/body/name"),
]


async def test_a_refused_field_is_named(client: httpx2.AsyncClient) -> None:
    for method, path, body, pointer in FIELDS:
        problem = assert_refused(await send(client, method, path, json.dumps(body).encode()))
        assert [error["pointer"] for error in problem["errors"]] == [pointer], (path, body)


@pytest.mark.parametrize(
    "text",
    [r'{"name": "a\ud800b"}', r'{"name": "Anna", "answers": {"a": "\udfff"}}', r'{"name": "\udc00\ud800"}'],
)
async def test_lone_surrogates_are_refused_by_name(client: httpx2.AsyncClient, text: str) -> None:
    problem = assert_refused(await send(client, "POST", "/members", text.encode()))

    assert problem["status"] == 422
    assert problem["errors"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "multipart/form-data", ""])
async def test_another_content_type_is_refused(client: httpx2.AsyncClient, content_type: str) -> None:
    answer = await client.post(
        "/members", content=b'{"name": "Anna"}', headers={"Content-Type": content_type}
    )

    assert_refused(answer)


async def test_an_unknown_path_and_a_wrong_method_are_problems_too(client: httpx2.AsyncClient) -> None:
    assert assert_refused(await client.get("/nothing"))["code"] == "not_found"
    assert assert_refused(await client.delete("/members"))["code"] == "method_not_allowed"
