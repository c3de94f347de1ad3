import pytest

from app.passes import trace
from app.passes.google_diagnosis import diagnose
from app.passes.models import GoogleObject, TraceEvent, Update
from app.passes.story import tell
from tests.make import NOON, make_issued


def owed(wanted=4, sent=4):
    return Update(wanted_version=wanted, sent_version=sent)


def line(kind, version=4, **details):
    return TraceEvent(kind=kind, version=version, details=details)


def silent(why):
    return [line(trace.GOOGLE_UPDATED, notify="silent", why=why)]


HELD = GoogleObject(refusal="", has_users=True)


@pytest.mark.parametrize(
    ("known", "update", "events", "code"),
    [
        (None, None, [], None),
        (HELD, owed(), [line(trace.GOOGLE_UPDATED, notify="rings", why="within_budget")], None),
        (HELD, owed(), silent("day_full"), "google_silent"),
        (HELD, owed(5), [], "google_waiting"),
        (HELD, owed(5), [line(trace.GOOGLE_REFUSED, 5, reason="403")], "google_failing"),
        (HELD, owed(5), [line(trace.GOOGLE_REFUSED, 4, reason="403")], "google_waiting"),
        (GoogleObject(refusal="400 bad picture", has_users=True), owed(5), [], "google_refused"),
    ],
)
def test_what_keeps_a_pass_silent_at_google(known, update, events, code):
    assert [each.code for each in diagnose(known, update, events)] == ([code] if code else [])


def test_the_fourth_ring_of_a_day_is_explained():
    assert "three changes rang" in diagnose(HELD, owed(), silent("day_full"))[0].text


async def test_a_pass_that_lives_in_google_wallet_only_is_not_called_uninstalled(session):
    issued = await make_issued(session)
    session.add(
        GoogleObject(
            pass_id=issued.id,
            program_id=issued.program_id,
            object_id="1.card",
            class_id="1.coffee",
            resource="loyaltyObject",
            sent={},
            inserted_at=NOON,
            has_users=True,
        )
    )
    await session.flush()

    told = await tell(session, {}, issued.program_id, issued.id, now=NOON)

    assert [each.code for each in told.findings] == ["up_to_date"]
