"""A small town in virtual time: a CRM, two workers and phones on the real ledger, outbox and push job.

One seed is one story: who acts next, which request or answer is lost, where a process dies, whose clock is
wrong. Only one actor runs at a time, so the same seed is the same story, and a failing one can be replayed.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, text

from app.errors import TemporaryFailure
from app.job_queue import kinds
from app.jobs.push_apple import push_apple
from app.jobs.push_apple_chunk import push_apple_chunk
from app.members.models import Account, Program
from app.passes import devices, issue, outbox
from app.passes.models import Pass
from app.passes.versions import APPLE
from app.points import ledger
from app.points.models import Entry
from app.wallets.apple.push import PushOutcome, PushResult
from app.wiring import Services
from tests.make import NOON, make_account, make_member, make_program

ACCOUNTS, CRMS, EVENTS, WORKERS = 3, 2, 4, 2
TURNS_MAX = 5000
SKEWS = (0, 0, 0, -5, 5)  # seconds a worker's clock is wrong
HUNG_FOR = outbox.LEASE + timedelta(seconds=15)  # longer than any lease, whoever's clock it is
SILENCE = timedelta(minutes=30)

_HANDLERS = {kinds.PUSH_APPLE: push_apple, kinds.PUSH_APPLE_CHUNK: push_apple_chunk}
_JOBS = text("SELECT id, entrypoint, payload FROM pgqueuer WHERE entrypoint LIKE 'push_apple%' ORDER BY id")
_DONE = text("DELETE FROM pgqueuer WHERE id = :id")


class Crash(Exception):
    """The process dies here."""


@dataclass
class Faults:
    """How often what goes wrong. `earn` is the CRM's way into the ledger, for a test to plant a bug in."""

    lost_request: float = 0.2
    lost_answer: float = 0.2
    crash: float = 0.1
    push_fails: float = 0.3
    hang: float = 0.03  # the worker stands still, loses job and lease, and goes on as if nothing had been
    earn: Callable[..., Awaitable[object]] = ledger.earn


@dataclass
class Phone:
    """A phone that asks when it is told to, and keeps what it fetched."""

    serial_number: str
    account_id: str
    last_modified: int = 0
    version: int = 1
    balance: int = 0


@dataclass
class Turns:
    """Lets one actor at a time go on, chosen by chance, while virtual time passes."""

    chance: random.Random
    now: datetime = NOON
    _waiting: list[asyncio.Future[None]] = field(default_factory=list)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def turn(self) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        self._arrived.set()
        await mine

    async def run(self, *actors: Coroutine[Any, Any, None]) -> None:
        tasks = [asyncio.create_task(actor) for actor in actors]
        for task in tasks:
            task.add_done_callback(lambda _task: self._arrived.set())
        for _ in range(TURNS_MAX):
            while len(self._waiting) < sum(not task.done() for task in tasks):
                self._arrived.clear()
                await self._arrived.wait()
            if all(task.done() for task in tasks):
                break
            self.now += timedelta(seconds=self.chance.choice((0, 0.2, 1, 3)))
            self._waiting.pop(self.chance.randrange(len(self._waiting))).set_result(None)
        else:
            raise AssertionError(f"not at rest after {TURNS_MAX} turns")
        for task in tasks:
            task.result()


@dataclass(frozen=True)
class _Pushers:
    """The push services, as the worker of one job knows them."""

    town: "Town"
    job_id: int

    async def notify(self, target: Any) -> PushResult:
        return await self.town.notify(target.push_token, self.job_id)

    async def notify_many(self, _service: str, push_tokens: list[str], done: Callable[..., None]) -> None:
        for push_token in push_tokens:
            try:
                done(push_token, await self.town.notify(push_token, self.job_id))
            except TemporaryFailure as failure:
                done(push_token, failure)


class Town:
    """One story."""

    def __init__(self, services: Services, seed: int, faults: Faults) -> None:
        self.chance = random.Random(seed)
        self.turns = Turns(self.chance)
        self.faults, self.services = faults, services
        self.phones: dict[str, Phone] = {}  # by push token
        self.sent: dict[str, tuple[str, int]] = {}  # every event of the CRMs: account, points
        self.claimed: set[int] = set()  # jobs that a living worker runs
        self.open_crms = CRMS
        self.is_calm = False
        self.has_hung = False

    def happens(self, share: float) -> bool:
        return not self.is_calm and self.chance.random() < share

    async def play(self) -> list[str]:
        """What was wrong at the end: nothing, if all is well."""
        async with self.services.sessions.begin() as session:
            await session.execute(text("DELETE FROM pgqueuer"))
            program = await make_program(session)
            accounts = [await make_account(session, program) for _ in range(ACCOUNTS)]
            for account in accounts:
                await self._phone(session, account)
        crms = [self._crm(number, program, accounts) for number in range(CRMS)]
        await self.turns.run(*crms, *(self._worker() for _ in range(WORKERS)))
        return await self._wrongs()

    async def _phone(self, session: Any, account: Account) -> None:
        member = await make_member(session, account)
        held = await issue.issue(session, member, template="coffee", now=NOON)
        token = held.serial_number * 2
        await devices.register(
            session,
            held.serial_number,
            device_library_identifier=held.serial_number,
            push_service="apns",
            push_token=token,
            now=NOON,
        )
        self.phones[token] = Phone(held.serial_number, account.id, held.last_modified)

    async def _crm(self, number: int, program: Program, accounts: list[Account]) -> None:
        """Reports its events, each until it is answered."""
        for event in range(EVENTS):
            key = f"{number}-{event}"
            account_id, points = self.chance.choice(accounts).id, self.chance.randrange(1, 50)
            self.sent[key] = (account_id, points)
            attempt = 0
            while True:
                await self.turns.turn()
                attempt += 1
                if self.happens(self.faults.lost_request):
                    continue
                try:
                    async with self.services.sessions.begin() as session:
                        await self.faults.earn(
                            session,
                            account_id,
                            points,
                            reason=f"attempt {attempt}",
                            source="crm",
                            source_event=key,
                            program_id=program.id,
                            now=self.turns.now,
                        )
                        if self.happens(self.faults.crash):
                            raise Crash
                except Crash:
                    continue
                if not self.happens(self.faults.lost_answer):
                    break
        self.open_crms -= 1

    async def _worker(self) -> None:
        """Runs the push jobs there are, each in one worker's hands, as the engine's heartbeats see to.

        A job is gone only when its end is written down.
        """
        while True:
            await self.turns.turn()
            jobs = await self._jobs()
            if not jobs:
                if self.open_crms == 0 and not self.claimed and not await self._sweep():
                    return
                continue
            self.is_calm = self.open_crms == 0 and self.chance.random() < 0.5
            id_, kind, payload = self.chance.choice(jobs)
            self.claimed.add(id_)
            skew = timedelta(seconds=self.chance.choice(SKEWS))
            pushers = _Pushers(self, id_)
            services = replace(self.services, pushers=pushers, clock=lambda skew=skew: self.turns.now + skew)
            try:
                await _HANDLERS[kind](services, json.loads(payload))
                if self.happens(self.faults.crash):
                    raise Crash
            except (Crash, TemporaryFailure):
                continue  # the job comes back
            finally:
                self.claimed.discard(id_)
            async with self.services.sessions.begin() as session:
                await session.execute(_DONE, {"id": id_})

    async def _jobs(self) -> list[tuple[int, str, bytes]]:
        async with self.services.sessions() as session:
            rows = await session.execute(_JOBS)
            free = [row for row in rows if row.id not in self.claimed]
            return [(row.id, row.entrypoint, bytes(row.payload)) for row in free]

    async def _sweep(self) -> int:
        """Half an hour later: a worker that hung may have ended the job that another had taken over.

        Nothing else may need the sweep, or it would hide a job that was never written.
        """
        if not self.has_hung:
            return 0
        async with self.services.sessions.begin() as session:
            later = self.turns.now + SILENCE + timedelta(minutes=1)
            return await outbox.sweep(session, APPLE, silent_for=SILENCE, limit=100, now=later)

    async def notify(self, push_token: str, job_id: int) -> PushResult:
        """Apple and the phone behind it, in the place of the push services."""
        await self.turns.turn()
        if self.happens(self.faults.hang):
            self.has_hung = True
            self.claimed.discard(job_id)  # without a heartbeat of its worker, the engine hands it on
            over = self.turns.now + HUNG_FOR
            while self.turns.now < over:
                await self.turns.turn()
        if self.happens(self.faults.crash):
            raise Crash
        if self.happens(self.faults.push_fails):
            raise TemporaryFailure("busy")
        await self._fetch(self.phones[push_token])
        await self.turns.turn()
        if self.happens(self.faults.crash):
            raise Crash
        return PushResult(PushOutcome.ACCEPTED, "apns-id", None)

    async def _fetch(self, phone: Phone) -> None:
        """As Wallet does: whole seconds decide whether there is something new."""
        async with self.services.sessions() as session:
            held = await session.scalar(select(Pass).where(Pass.serial_number == phone.serial_number))
            account = await session.get_one(Account, phone.account_id)
        assert held is not None
        assert held.version >= phone.version, "a phone never goes back"
        if held.last_modified > phone.last_modified:
            phone.version, phone.last_modified = held.version, held.last_modified
            phone.balance = account.balance

    async def _wrongs(self) -> list[str]:
        expected: Counter[str] = Counter()
        for account_id, points in self.sent.values():
            expected[account_id] += points
        wrongs: list[str] = []
        async with self.services.sessions() as session:
            for phone in self.phones.values():
                balance = (await session.get_one(Account, phone.account_id)).balance
                entries = await session.scalars(
                    select(Entry.points).where(Entry.account_id == phone.account_id)
                )
                if not balance == sum(entries) == expected[phone.account_id]:
                    wrongs.append(f"balance {balance}, expected {expected[phone.account_id]}")
                if phone.balance != balance:
                    wrongs.append(f"the phone shows {phone.balance}, the balance is {balance}")
        return wrongs
