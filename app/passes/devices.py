"""Devices that hold a pass: registering, unregistering, what changed for one, and what pushes came to."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import BigInteger, ColumnElement, String, case, delete, or_, select, update
from sqlalchemy.engine import Row
from sqlalchemy.exc import NoResultFound
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import locked
from app.job_queue import kinds
from app.passes import trace
from app.passes.issue import UnknownPass
from app.passes.models import Pass, Registration, Update
from app.passes.versions import APPLE, enqueue_updates
from app.sql import typed_text

DEVICES_MAX = 20  # per pass; one phone comes with many device ids, and every one costs a push

# How far before a tag we look: longer than any transaction is open, with the hosts' clocks apart.
OVERLAP_SECONDS = 600
_FINGERPRINT_BITS = 48
_TAG = re.compile(r"[0-9]{1,30}")


class PushAddress(Protocol):
    """Whom a push went to."""

    @property
    def push_service(self) -> str: ...
    @property
    def push_token(self) -> str: ...


class _Outcome(Protocol):
    @property
    def value(self) -> str: ...


class PushAnswer(Protocol):
    """What the push service said: outcome "accepted" or "device_gone", and its own words."""

    @property
    def outcome(self) -> _Outcome: ...
    @property
    def apns_id(self) -> str | None: ...
    @property
    def reason(self) -> str | None: ...


@dataclass(frozen=True)
class HeldPass:
    """A pass on a device, and whether the device must be told to fetch it."""

    pass_id: str
    program_id: str
    serial_number: str
    version: int
    changed: bool


@dataclass(frozen=True)
class Changes:
    """What a device asked for: every pass it holds, and the tag to ask with next time.

    `tag` is None when nothing changed: the answer is 204 and the device keeps the tag it has.
    """

    held: tuple[HeldPass, ...]
    tag: str | None

    @property
    def serial_numbers(self) -> list[str]:
        return [each.serial_number for each in self.held if each.changed]


async def register(
    session: AsyncSession,
    serial_number: str,
    *,
    device_library_identifier: str,
    push_service: str,
    push_token: str,
    now: datetime,
) -> bool:
    """Note that a device holds a pass; True if that is new. A repeat brings the push token up to date.

    Of more than DEVICES_MAX devices those not seen for longest are forgotten. Raises UnknownPass.
    """
    # The lock orders this with a change of the pass: either we see its version, or its push sees us.
    held = await _pass_locked(session, serial_number)
    known = await session.get(Registration, (device_library_identifier, held.id), populate_existing=True)
    if known is not None:
        is_moved = (known.push_service, known.push_token) != (push_service, push_token)
        known.push_service, known.push_token, known.seen_at = push_service, push_token, now
        if is_moved:  # what was pushed to the old token may never have arrived
            known.pushed_version = 0
            await _owe(session, held, device_library_identifier, now=now)
        return False

    session.add(
        Registration(
            device_library_identifier=device_library_identifier,
            pass_id=held.id,
            program_id=held.program_id,
            push_service=push_service,
            push_token=push_token,
            pushed_version=1 if held.version == 1 else 0,
            registered_at=now,
            seen_at=now,
        )
    )
    await session.flush()
    details = {"device": short(device_library_identifier), "push_service": push_service}
    await trace.record(session, held.program_id, [held.id], trace.INSTALLED, details=details, now=now)
    await _evict(session, held, keep=device_library_identifier, now=now)
    await _owe(session, held, device_library_identifier, now=now)
    return True


async def unregister(
    session: AsyncSession, serial_number: str, *, device_library_identifier: str, now: datetime
) -> bool:
    """Note that a device no longer holds a pass; False if it was not registered. Raises UnknownPass."""
    held = await _pass_locked(session, serial_number)
    gone = await _delete(session, held.id, [device_library_identifier])
    if gone:
        details = {"device": short(device_library_identifier)}
        await trace.record(session, held.program_id, [held.id], trace.UNINSTALLED, details=details, now=now)
    return bool(gone)


def changed_since(rows: Sequence[Row[Any]], tag: str | None, *, now: datetime) -> Changes:
    """The passes of a device that changed since a tag of ours; all of them without one, or with another's.

    `rows` are what `PhoneReads.held` gives for the device. A tag is an integer: the second of our answer,
    then 48 bits that fingerprint what the device held and in which version. The same fingerprint means that
    nothing changed, exactly and at once. When it differs, the second says where to look: from
    OVERLAP_SECONDS before it, because a change that began before the answer and was committed after it
    carries the earlier time, on SQLite too (its time is taken before it waits for its turn to write). An
    unchanged pass that is named too costs its phone a 304.
    """
    if not rows:
        return Changes((), None)
    second = int(now.timestamp())
    fingerprint = _fingerprint((row.serial_number, row.version, row.registered_at) for row in rows)
    given = int(tag) if tag and _TAG.fullmatch(tag) else 0
    given_second = given >> _FINGERPRINT_BITS
    is_same = given_second > 0 and given & ((1 << _FINGERPRINT_BITS) - 1) == fingerprint
    # From a clock that ran ahead: such a tag says nothing about what the device has seen.
    since = 0 if given_second > second + OVERLAP_SECONDS else given_second - OVERLAP_SECONDS

    held = tuple(
        HeldPass(
            pass_id=row.id,
            program_id=row.program_id,
            serial_number=row.serial_number,
            version=row.version,
            changed=not is_same and max(row.last_modified, int(row.registered_at.timestamp())) > since,
        )
        for row in rows
    )
    if not any(each.changed for each in held):
        return Changes(held, None)
    # Always beyond the one given, or the phone complains that it "remained the same".
    return Changes(held, str(max(second, given_second + 1) << _FINGERPRINT_BITS | fingerprint))


def _fingerprint(rows: Iterable[tuple[str, int, datetime]]) -> int:
    state = "|".join(sorted(f"{serial}:{version}:{at.timestamp()}" for serial, version, at in rows))
    digest = hashlib.blake2b(state.encode(), digest_size=_FINGERPRINT_BITS // 8).digest()
    return int.from_bytes(digest, "big")


async def record_pushes(
    session: AsyncSession,
    program_id: str,
    pass_id: str,
    version: int,
    told: Sequence[tuple[PushAddress, PushAnswer | None, str]],
    *,
    sent_at: datetime,
    now: datetime,
) -> None:
    """Write down what pushes of one version came to: (device, answer, or None and why there is none).

    An accepted one need not be sent again, and stands in the story at `sent_at`: its phone may have
    answered before the push service did. A token that is gone is forgotten for every pass.
    """
    for address, answer, failure in sorted(told, key=lambda each: each[0].push_token):
        if answer is None:
            await _note_refused(session, program_id, pass_id, version, failure, now=now)
        elif answer.outcome.value == "device_gone":
            await forget(session, address, reason=answer.reason, now=now)
        else:
            await _note_accepted(session, program_id, pass_id, version, address, answer, sent_at=sent_at)


_ACCEPT = typed_text(
    """UPDATE registrations
    SET pushed_version = CASE WHEN pushed_version > :version THEN pushed_version ELSE :version END
    WHERE pass_id = :pass_id AND push_service = :push_service AND push_token = :push_token
    RETURNING device_library_identifier""",
    {"pass_id": String(), "push_service": String(), "push_token": String(), "version": BigInteger()},
)


async def _note_accepted(
    session: AsyncSession,
    program_id: str,
    pass_id: str,
    version: int,
    address: PushAddress,
    answer: PushAnswer,
    *,
    sent_at: datetime,
) -> None:
    accepted = {
        "pass_id": pass_id,
        "push_service": address.push_service,
        "push_token": address.push_token,
        "version": version,
    }
    devices = sorted(short(device) for device in await session.scalars(_ACCEPT, accepted))
    details: Mapping[str, str | int | None] = {"apns_id": answer.apns_id, "device": ", ".join(devices)}
    await trace.record(
        session, program_id, [pass_id], trace.PUSH_ACCEPTED, version=version, details=details, now=sent_at
    )


async def _note_refused(
    session: AsyncSession, program_id: str, pass_id: str, version: int, reason: str, *, now: datetime
) -> None:
    """Trace a push that failed, once for all its repetitions."""
    details = {"reason": reason}
    await trace.record_once(
        session, program_id, pass_id, trace.PUSH_REFUSED, version=version, details=details, now=now
    )


async def forget(session: AsyncSession, address: PushAddress, *, reason: str | None, now: datetime) -> int:
    """Delete every registration of a push token that its service says is gone; how many there were."""
    statement = (
        delete(Registration)
        .where(*_at(address))
        .returning(Registration.program_id, Registration.pass_id, Registration.device_library_identifier)
        .execution_options(synchronize_session=False)
    )
    gone = sorted((await session.execute(statement)).all())
    for program_id, pass_id, device in gone:
        details = {"device": short(device), "reason": reason}
        await trace.record(session, program_id, [pass_id], trace.DEVICE_GONE, details=details, now=now)
    return len(gone)


def short(device_library_identifier: str) -> str:
    """Enough of a device id to tell devices apart: whoever knows all of it may list its passes."""
    return device_library_identifier[:8]


def _at(address: PushAddress) -> tuple[ColumnElement[bool], ...]:
    return (
        Registration.push_service == address.push_service,
        Registration.push_token == address.push_token,
    )


async def _pass_locked(session: AsyncSession, serial_number: str) -> Pass:
    try:
        return await locked(session, select(Pass).where(Pass.serial_number == serial_number))
    except NoResultFound as error:
        raise UnknownPass(serial_number) from error


async def _owe(session: AsyncSession, held: Pass, device_library_identifier: str, *, now: datetime) -> None:
    """Have a device told that may hold an older version than the pass has.

    A registration does not say which version was downloaded, and what else was downloaded meanwhile may
    have gone to another phone. So past version 1 we ask this device, and only this one, to look: it fetches
    what is new and rings for that, or is answered 304 and stays silent. A campaign's job that waits may
    have read already whom to tell, so it does not count as on its way.
    """
    if held.version == 1:
        return
    await session.flush()
    which = {"pass_id": held.id, "device": device_library_identifier}
    await session.execute(_OTHERS_TOLD, which)
    statement = (
        update(Update)
        .where(
            Update.pass_id == held.id,
            Update.wallet == APPLE,
            or_(~Update.queued, Update.priority < kinds.LIVE),
        )
        .values(
            queued=True,
            priority=kinds.LIVE,
            sent_version=case(
                (Update.sent_version < Update.wanted_version, Update.sent_version),
                else_=Update.wanted_version - 1,
            ),
            wanted_at=now,
            touched_at=now,
        )
        .returning(Update.pass_id)
        .execution_options(synchronize_session=False)
    )
    edges = [(pass_id, APPLE) for pass_id in await session.scalars(statement)]
    await enqueue_updates(session, edges, priority=kinds.LIVE)


# What was told to all phones of a pass stands in its update; before that is taken back for one phone, it is
# written down for the others.
_OTHERS_TOLD = typed_text(
    f"""UPDATE registrations SET pushed_version = sent_version FROM updates
    WHERE registrations.pass_id = :pass_id AND device_library_identifier <> :device
      AND updates.pass_id = registrations.pass_id AND wallet = '{APPLE}' AND pushed_version < sent_version""",  # noqa: S608
    {"pass_id": String(), "device": String()},
)


async def _evict(session: AsyncSession, held: Pass, *, keep: str, now: datetime) -> None:
    seen = (
        select(Registration.device_library_identifier)
        .where(Registration.pass_id == held.id, Registration.device_library_identifier != keep)
        .order_by(Registration.seen_at.desc(), Registration.registered_at.desc())
        .offset(DEVICES_MAX - 1)
    )
    gone = await _delete(session, held.id, list(await session.scalars(seen)))
    for device in gone:
        details = {"device": short(device), "reason": f"more than {DEVICES_MAX} devices"}
        await trace.record(session, held.program_id, [held.id], trace.UNINSTALLED, details=details, now=now)


async def _delete(session: AsyncSession, pass_id: str, devices: Sequence[str]) -> list[str]:
    statement = (
        delete(Registration)
        .where(Registration.pass_id == pass_id, Registration.device_library_identifier.in_(devices))
        .returning(Registration.device_library_identifier)
    )
    return sorted(await session.scalars(statement))
