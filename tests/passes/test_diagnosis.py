"""Why a phone stayed silent: each story has its own answer."""

from datetime import timedelta

import pytest

from app.db import new_id
from app.passes import trace
from app.passes.diagnosis import diagnose
from app.passes.models import Pass, Registration, TraceEvent, Update
from tests.make import NOON

Line = tuple[str, int | None, dict[str, str]]

INSTALLED = (trace.INSTALLED, None, {})
EARNED = (trace.CHANGED, 2, {"entry_id": "ent_1", "kind": "earn"})
RENAMED = (trace.CHANGED, 2, {"member": "name"})
ACCEPTED = (trace.PUSH_ACCEPTED, 2, {"apns_id": "a"})
ASKED = (trace.ASKED, 2, {})
FETCHED = (trace.FETCHED, 2, {})


def found(lines: list[Line], *, held: bool = True, minutes: int = 10, **fields: object) -> list[str]:
    issued = Pass(state=fields.get("state", "active"), version=2)
    owed = Update(wanted_version=2, sent_version=fields.get("sent", 2))
    events = [
        TraceEvent(id=f"trc_{number:026}", kind=kind, version=version, details=details, at=NOON)
        for number, (kind, version, details) in enumerate(lines)
    ]
    registrations = [Registration(device_library_identifier=new_id("dev"))] if held else []
    findings = diagnose(
        issued, owed, registrations, events, announced={"points"}, now=NOON + timedelta(minutes=minutes)
    )
    assert all(finding.text for finding in findings)
    return [finding.code for finding in findings]


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([], "never_installed"),
        ([(trace.LINK_OPENED, None, {})], "opened_not_downloaded"),
        ([(trace.LINK_OPENED, None, {}), (trace.DOWNLOADED, 1, {})], "downloaded_not_added"),
        ([INSTALLED, (trace.UNINSTALLED, None, {})], "uninstalled"),
        ([INSTALLED, (trace.DEVICE_GONE, None, {"reason": "Unregistered"})], "device_gone"),
    ],
)
def test_a_pass_on_no_phone_says_how_far_it_got(lines: list[Line], code: str) -> None:
    assert found(lines, held=False) == [code]


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([INSTALLED, EARNED, ACCEPTED], "accepted_never_asked"),
        ([INSTALLED, EARNED, ACCEPTED, ASKED], "asked_not_fetched"),
        ([INSTALLED, EARNED, ACCEPTED, ASKED, (trace.NOT_MODIFIED, 2, {})], "not_modified"),
        ([INSTALLED, EARNED, ACCEPTED, ASKED, FETCHED], "up_to_date"),
        ([INSTALLED, RENAMED, ACCEPTED, ASKED, FETCHED], "no_change_message"),
        ([INSTALLED, EARNED, (trace.PUSH_REFUSED, 2, {"reason": "BadCertificate"})], "push_refused"),
        ([INSTALLED, EARNED, (trace.PUSH_REFUSED, 2, {}), ACCEPTED, ASKED, FETCHED], "up_to_date"),
        ([INSTALLED, EARNED, ACCEPTED, ASKED, FETCHED, (trace.REFUSED, None, {})], "refused_token"),
    ],
)
def test_a_pass_on_a_phone_says_what_the_phone_did(lines: list[Line], code: str) -> None:
    assert found(lines) == [code]


def test_a_push_of_a_moment_ago_is_no_fault_yet() -> None:
    assert found([INSTALLED, EARNED, ACCEPTED], minutes=1) == ["just_pushed"]


def test_what_is_owed_and_not_sent_asks_for_the_worker() -> None:
    assert found([INSTALLED, EARNED], sent=1) == ["push_waiting"]


def test_a_voided_pass_says_so_before_anything_else() -> None:
    assert found([], held=False, state="voided")[0] == "voided"
