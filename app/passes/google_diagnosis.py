"""Why an Android phone stayed silent, answered from the evidence as for Apple's."""

from collections.abc import Sequence

from app.passes import trace
from app.passes.diagnosis import Finding
from app.passes.models import GoogleObject, TraceEvent, Update

_SILENT = {
    "day_full": "three changes rang within 24 hours, and Google rings for no fourth",
    "kept_for_purchases": "a campaign leaves the last ring of the day to purchases",
    "quiet_hours": "the programme's quiet hours keep campaigns silent",
    "frequency_cap": "the programme's campaigns have rung often enough today",
    "balance_unchanged": "the balance is the same: Google rings for the balance and the field beside it only",
    "held_by_nobody": "nobody had saved the pass in Google Wallet",
    "first_version": "Google had nothing of the pass before",
}


def diagnose(known: GoogleObject | None, owed: Update | None, events: Sequence[TraceEvent]) -> list[Finding]:
    """What keeps the pass silent or old in Google Wallet; nothing when it is up to date and rang. Pure."""
    if owed is None:
        return []
    if known is not None and known.refusal:
        return [
            Finding(
                "google_refused",
                f"Google does not take the newest version: {known.refusal}. After a few tries it waits for "
                "the next change: mend the cause, then run `passbell jobs requeue`.",
            )
        ]
    if owed.wanted_version > owed.sent_version:
        return [_waiting(owed, events)]
    updated = next((each for each in reversed(events) if each.kind == trace.GOOGLE_UPDATED), None)
    if updated is None or updated.details.get("notify") != "silent":
        return []
    why = _SILENT.get(str(updated.details.get("why")), "the budget did not allow it")
    return [
        Finding("google_silent", f"Google Wallet shows version {updated.version} without a sound: {why}.")
    ]


def _waiting(owed: Update, events: Sequence[TraceEvent]) -> Finding:
    newest = next((each for each in reversed(events) if each.kind == trace.GOOGLE_REFUSED), None)
    if newest is not None and newest.version == owed.wanted_version:
        return Finding(
            "google_failing",
            f"Google was asked and refused or did not answer: {newest.details.get('reason')}. It is tried "
            "again by itself; `passbell doctor` examines the account.",
        )
    return Finding(
        "google_waiting",
        f"Version {owed.wanted_version} is waiting to be sent to Google: is a worker running?",
    )
