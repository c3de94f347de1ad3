"""Our HTTP/2 against servers that are not ours: Node's, and nghttp2's. Skipped where they are missing."""

import asyncio
import json
import shutil
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.wallets.apple.push import CertificateCredentials, PushOutcome, open_apple_push
from tests.apns import TOPIC, authority, ca_file, client_certificate, push_token
from tests.wallets.apple.test_push_many import Heard

PATIENCE_SECONDS = 60
NODE_SERVER = Path(__file__).with_name("node_apns.mjs")
TOKENS = [push_token(number) for number in range(1200)]


@pytest.fixture
def server_pem(tmp_path: Path) -> tuple[Path, Path]:
    """The files of a server's key and certificate."""
    issued = authority("Apple").issue_cert("localhost", "127.0.0.1")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    issued.private_key_pem.write_to_path(key)
    issued.cert_chain_pems[0].write_to_path(certificate)
    return key, certificate


async def push_many(port: int, tokens: list[str]) -> Heard:
    heard = Heard()
    with ca_file("Apple") as ca:
        credentials = CertificateCredentials(client_certificate("Apple"))
        push = open_apple_push(credentials, topic=TOPIC, host="127.0.0.1", port=port, ca_file=ca)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await push.notify_many(tokens, heard)
    await push.close()
    return heard


@pytest.mark.skipif(shutil.which("node") is None, reason="no node")
@pytest.mark.parametrize("fault", ["none", "goodbye", "cut", "reset", "few streams", "ping", "settings"])
async def test_node_is_told_of_every_token_and_answers_are_understood(server_pem, fault):
    command = ["node", str(NODE_SERVER), *map(str, server_pem), fault]
    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    node = await asyncio.create_subprocess_exec(*command, **pipes)
    heard = await push_many(int(await node.stdout.readline()), TOKENS)
    told, _ = await node.communicate(b"")

    assert heard.failed == []
    gone = [token for token in TOKENS if token.endswith("0")]
    accepted = [token for token in TOKENS if not token.endswith("0")]
    assert sorted(heard.tokens(PushOutcome.DEVICE_GONE)) == gone
    assert sorted(heard.tokens(PushOutcome.ACCEPTED)) == accepted == sorted(json.loads(told))


@asynccontextmanager
async def nghttpd(folder: Path, pem: tuple[Path, Path], options: list[str]) -> AsyncGenerator[int]:
    """A web server that has a file for each token, and so answers 200 to a push. Gives its port."""
    files = folder / "files" / "3" / "device"
    files.mkdir(parents=True)
    for token in TOKENS:
        (files / token).write_text("accepted")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["nghttpd", *options, "--address=127.0.0.1", "-d", str(folder / "files"), str(port)]
    server = await asyncio.create_subprocess_exec(*command, *map(str, pem))
    try:
        await _listens(port)
        yield port
    finally:
        server.terminate()
        await server.wait()


async def _listens(port: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


@pytest.mark.skipif(shutil.which("nghttpd") is None, reason="no nghttpd")
@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--max-concurrent-streams=3"],
        ["--padding=200"],
        ["--header-table-size=0"],
        ["--header-table-size=100", "--encoder-header-table-size=100"],
        ["--window-bits=10", "--connection-window-bits=16"],
    ],
    ids=lambda options: " ".join(options) or "defaults",
)
async def test_nghttp2_answers_every_token(server_pem, tmp_path, options):
    async with nghttpd(tmp_path, server_pem, options) as port:
        heard = await push_many(port, TOKENS)

    assert heard.failed == []
    assert sorted(heard.tokens(PushOutcome.ACCEPTED)) == TOKENS
