import contextlib
import signal
import ssl

import httpx2
import pytest
import trustme
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from app.simulators.serving import StartupFailed, serve


def _greeter(lifespan=None) -> Starlette:
    async def greet(request):
        return PlainTextResponse("hello")

    return Starlette(routes=[Route("/", greet)], lifespan=lifespan)


async def test_an_application_answers_on_a_real_socket_and_is_gone_after_the_block():
    async with httpx2.AsyncClient() as client:
        async with serve(_greeter()) as url:
            answer = await client.get(url)

        with pytest.raises(httpx2.ConnectError):
            await client.get(url)

    assert answer.text == "hello"


async def test_the_host_process_keeps_its_own_signal_handlers():
    before = signal.getsignal(signal.SIGINT)

    async with serve(_greeter()):
        during = signal.getsignal(signal.SIGINT)

    assert during is before


async def test_tls_is_spoken_with_the_given_context():
    authority = trustme.CA()
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server_side)
    client_side = ssl.create_default_context()
    authority.configure_trust(client_side)

    async with serve(_greeter(), ssl=server_side) as url, httpx2.AsyncClient(verify=client_side) as client:
        answer = await client.get(url)

    assert url.startswith("https://localhost:")
    assert answer.text == "hello"


async def test_an_application_that_cannot_start_says_so_instead_of_ending_the_process():
    @contextlib.asynccontextmanager
    async def lifespan(app):
        raise RuntimeError("no database")
        yield

    with pytest.raises(StartupFailed):
        async with serve(_greeter(lifespan)):
            pytest.fail("it started")
