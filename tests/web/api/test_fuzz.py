"""schemathesis over the OpenAPI document, on the real application behind a real socket: never a 5xx.

PASSBELL_FUZZ_CASES is how many cases an operation gets: 200 in CI, a handful elsewhere. They are
the same each time, so that a failure tells of the change it is seen with.
"""

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from app.db import open_engine, open_sessions
from app.main import create_app
from app.members import api_keys
from app.passes.issue import issue
from app.settings import Settings
from app.web.api.openapi import document
from tests.make import NOON, make_account, make_member, make_program, make_tier

CASES = int(os.environ.get("PASSBELL_FUZZ_CASES", "5"))
CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance]

pytestmark = pytest.mark.slow
schema = schemathesis.openapi.from_dict(document())


@pytest.fixture(scope="module")
def served(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A running server: its address, a key, and ids of things that exist."""
    folder = tmp_path_factory.mktemp("fuzz")
    path = folder / "passbell.db"
    path.write_bytes(sqlite_template.read_bytes())
    known = asyncio.run(_seed(f"sqlite:///{path}"))
    app = create_app(
        Settings(database_url=f"sqlite:///{path}", data_dir=folder, worker=False, _env_file=None)
    )
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield known | {"address": f"http://127.0.0.1:{listener.getsockname()[1]}"}
    server.should_exit = True
    thread.join(10)


async def _seed(url: str) -> dict[str, str]:
    engine = open_engine(url)
    async with open_sessions(engine).begin() as session:
        program = await make_program(session)
        await make_tier(session, program, code="basic", threshold=0)
        member = await make_member(session, await make_account(session, program))
        held = await issue(session, member, template="coffee", now=NOON)
        _, key = await api_keys.create_key(session, program.id, name="fuzz", scopes=["*"], now=NOON)
    await engine.dispose()
    return {"member_id": member.id, "account_id": member.account_id, "pass_id": held.id, "key": key}


@schema.parametrize()
@settings(
    max_examples=CASES,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)
def test_no_generated_request_makes_the_server_fail(case: Any, served: dict[str, str]) -> None:
    # Invented ids are all unknown: what exists is asked for too, or nothing behind the 404 is ever reached.
    for name, value in (case.path_parameters or {}).items():
        if name in served and len(value) % 2:
            case.path_parameters[name] = served[name]

    case.call_and_validate(
        base_url=served["address"], headers={"Authorization": f"Bearer {served['key']}"}, checks=CHECKS
    )
