"""Why a phone stayed silent: the commonest question of this field, answered from the evidence."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.passes import trace
from app.passes.models import Pass, Registration, TraceEvent, Update

PATIENCE = timedelta(minutes=2)  # a phone that is on answers a push within seconds

# What a change "because" of something alters on the pass: names that a template's fields may show.
_SHOWN = {
    "entry_id": frozenset({"points", "tier"}),
    "message": frozenset({"message"}),
    "tier": frozenset({"tier"}),
    "member": frozenset({"member_name", "birthday"}),
}


@dataclass(frozen=True)
class Finding:
    """One thing the evidence says. `code` is stable, `text` says what it means and what to do."""

    code: str
    text: str


def diagnose(
    issued: Pass,
    owed: Update | None,
    registrations: Sequence[Registration],
    events: Sequence[TraceEvent],
    *,
    announced: Collection[str],
    is_held_elsewhere: bool = False,
    now: datetime,
) -> list[Finding]:
    """What keeps the phones of a pass silent, or that nothing does. Pure.

    `events` are the pass's story, oldest first; `announced` the names of values whose fields have a change
    message in its template: only a change of one of those is shown on the lock screen. `is_held_elsewhere`:
    another wallet holds the pass, so that no phone of Apple's need.
    """
    found = [*_state(issued), *([] if is_held_elsewhere else _holders(registrations, events))]
    if registrations:
        found += [*_outbox(issued, owed, events), *_phone(issued, events, announced, now)]
    found += _refusals(events)
    return found or [Finding("up_to_date", f"Every phone that holds the pass has version {issued.version}.")]


def _state(issued: Pass) -> list[Finding]:
    if issued.state == "active":
        return []
    return [
        Finding(
            issued.state,
            f"The pass is {issued.state}: a phone shows it grey, among the expired passes, and changes of "
            "the balance no longer reach it. Restore it, or issue another.",
        )
    ]


def _holders(registrations: Sequence[Registration], events: Sequence[TraceEvent]) -> list[Finding]:
    if registrations:
        return []
    kinds = {event.kind for event in events}
    last = next((e for e in reversed(events) if e.kind in (trace.UNINSTALLED, trace.DEVICE_GONE)), None)
    if last is not None and last.kind == trace.DEVICE_GONE:
        return [
            Finding(
                "device_gone",
                f"Apple said that the phone is gone ({last.details.get('reason')}): it was reset, "
                "replaced, or the pass was removed while offline. Send the link again.",
            )
        ]
    if last is not None:
        return [
            Finding(
                "uninstalled", "The pass was removed from the phone, or its automatic updates switched off."
            )
        ]
    if trace.DOWNLOADED in kinds:
        return [
            Finding(
                "downloaded_not_added",
                "The pass was downloaded but no phone registered: the person did not tap Add, the phone "
                "cannot reach the web service address, or its automatic updates are off.",
            )
        ]
    if trace.LINK_OPENED in kinds:
        return [Finding("opened_not_downloaded", "The link was opened but the pass was never downloaded.")]
    return [Finding("never_installed", "The pass was never installed: its link has not been opened.")]


def _outbox(issued: Pass, owed: Update | None, events: Sequence[TraceEvent]) -> list[Finding]:
    refused = _newest(events, trace.PUSH_REFUSED)
    accepted = _newest(events, trace.PUSH_ACCEPTED)
    if refused is not None and (accepted is None or accepted.id < refused.id):
        return [
            Finding(
                "push_refused",
                f"The push service refused or did not answer: {refused.details.get('reason')}. It is tried "
                "again by itself; `passbell doctor` examines the certificate.",
            )
        ]
    held = _newest(events, trace.PUSH_HELD_BACK)
    if held is not None and (accepted is None or accepted.id < held.id):
        return [Finding("held_back", _held_back(held))]
    if owed is not None and owed.wanted_version > owed.sent_version:
        return [
            Finding(
                "push_waiting",
                f"Version {owed.wanted_version} is waiting to be pushed: is a worker running?",
            )
        ]
    return []


def _held_back(held: TraceEvent) -> str:
    why = {
        "quiet_hours": "it is a campaign's, and these are the programme's quiet hours",
        "frequency_cap": "the programme's campaigns have rung often enough today",
    }.get(str(held.details.get("why")), "the budget does not allow it")
    until = held.details.get("until")
    when = f"It is pushed at {until}" if until else "The phone shows it when it next asks"
    return f"Version {held.version} was not pushed: {why}. {when}, or with the next purchase."


def _phone(
    issued: Pass, events: Sequence[TraceEvent], announced: Collection[str], now: datetime
) -> list[Finding]:
    """What the phone did after the newest push that was accepted."""
    pushed = _newest(events, trace.PUSH_ACCEPTED)
    if pushed is None:
        return []
    after = [event for event in events if event.id > pushed.id]
    fetched = _newest(events, trace.FETCHED)
    if fetched is not None and (fetched.version or 0) >= (pushed.version or 0):
        return _silent_change(events, fetched, announced)
    if any(event.kind == trace.NOT_MODIFIED for event in after):
        return [
            Finding(
                "not_modified",
                "The phone asked and was told that it has the newest version (304): nothing to show.",
            )
        ]
    if any(event.kind == trace.ASKED for event in after):
        return [
            Finding(
                "asked_not_fetched",
                "The phone asked what is new but has not fetched the pass: it may be offline again.",
            )
        ]
    if now - pushed.at < PATIENCE:
        return [Finding("just_pushed", "The push was accepted a moment ago: the phone has not asked yet.")]
    return [
        Finding(
            "accepted_never_asked",
            "Apple accepted the push but the phone has never asked: it is off or offline, it cannot reach "
            "the web service address, or automatic updates are off for this pass.",
        )
    ]


def _silent_change(
    events: Sequence[TraceEvent], fetched: TraceEvent, announced: Collection[str]
) -> list[Finding]:
    """Why a fetched version rang nobody: none of the fields that changed has a change message."""
    changes = [e for e in events if e.kind == trace.CHANGED and e.version == fetched.version]
    altered = frozenset[str]().union(
        *(_SHOWN.get(cause, frozenset()) for event in changes for cause in event.details)
    )
    if not changes or altered & set(announced):
        return []
    return [
        Finding(
            "no_change_message",
            f"The phone fetched version {fetched.version} and showed it without a sound: what changed "
            f"({', '.join(sorted(altered)) or 'the state'}) stands in no field with a change message.",
        )
    ]


def _refusals(events: Sequence[TraceEvent]) -> list[Finding]:
    refused = _newest(events, trace.REFUSED)
    if refused is None:
        return []
    return [
        Finding(
            "refused_token",
            "A phone came with a wrong authentication token: it holds a pass signed with another SECRET_KEY. "
            "It must add the pass again.",
        )
    ]


def _newest(events: Sequence[TraceEvent], kind: str) -> TraceEvent | None:
    return next((event for event in reversed(events) if event.kind == kind), None)
