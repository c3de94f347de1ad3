"""The doors that are asked the most: they measure how long phones wait."""

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.answer_times import Measured
from app.web.direct import DirectDoors


async def answer(_request):
    return PlainTextResponse("here")


def test_only_what_comes_without_a_body_is_measured():
    measured = Measured()
    routes = [Route("/card", answer, methods=["GET", "POST"])]
    client = TestClient(DirectDoors(Starlette(), routes=routes, measured=measured))

    client.post("/card", content=b"dripping")
    dripped = measured.take()
    client.get("/card")
    asked = measured.take()

    assert dripped is None
    assert asked is not None
    assert measured.take() is None


def test_what_is_not_answered_yet_counts_as_long_as_it_has_waited():
    measured = Measured()
    with measured.answer():
        first, second = measured.take(), measured.take()

    assert first is not None
    assert second is not None
    assert 0 < first < second
    assert measured.take() is not None  # the answer that came in the end
    assert measured.take() is None


def test_what_is_measured_is_what_nearly_all_wait_at_most():
    measured = Measured()
    for number in range(100):
        measured.note(number / 100)

    assert measured.take() == 0.95
