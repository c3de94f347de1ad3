"""Why the ledger says no. Each is raised with nothing changed, and says what to do about it."""

from app.points.entries import EntryView

POINTS_MAX = 2**53  # the largest integer every JSON reader keeps exact


class UnknownAccount(Exception):
    """There is no such account, or not in this programme."""

    def __init__(self, account_id: str) -> None:
        super().__init__(f"no account {account_id}")
        self.account_id = account_id


class UnknownEntry(Exception):
    """There is no such entry, or not in this programme."""

    def __init__(self, entry_id: str) -> None:
        super().__init__(f"no entry {entry_id}")
        self.entry_id = entry_id


class UnknownMember(Exception):
    """The member who is said to have acted does not belong to the account."""

    def __init__(self, member_id: str, account_id: str) -> None:
        super().__init__(f"member {member_id} does not belong to account {account_id}")
        self.member_id = member_id


class UnknownTier(Exception):
    """The programme has no such tier."""

    def __init__(self, tier_id: str) -> None:
        super().__init__(f"the programme has no tier {tier_id}")
        self.tier_id = tier_id


class MemberBlocked(Exception):
    """The member who acts is blocked, or every member of the account is. Corrections are still possible."""

    def __init__(self, account_id: str, member_id: str | None) -> None:
        who = f"member {member_id} is" if member_id else f"all members of account {account_id} are"
        super().__init__(f"{who} blocked; unblock first, or post an adjustment")
        self.member_id = member_id


class NotEnoughPoints(Exception):
    """The balance does not cover the debit."""

    def __init__(self, balance: int, asked: int) -> None:
        super().__init__(f"balance {balance}, asked {asked}")
        self.balance = balance
        self.asked = asked


class PointsOutOfRange(Exception):
    """A number of points, or the balance it would lead to, is zero, of the wrong sign or beyond 2**53."""

    def __init__(self, points: int, *, allowed: str = f"1 to {POINTS_MAX}") -> None:
        super().__init__(f"points {points}: allowed are {allowed}")
        self.points = points


class BadFact(Exception):
    """A text of a movement is empty or too long; `field` names it."""

    def __init__(self, field: str, remedy: str) -> None:
        super().__init__(f"{field}: {remedy}")
        self.field = field


class SourceEventReused(Exception):
    """The source has already used this event id for something else; `first` is what it was."""

    def __init__(self, first: EntryView) -> None:
        super().__init__(
            f"{first.source} {first.source_event} is already entry {first.id} "
            f"({first.kind} {first.points:+d} on account {first.account_id}); give another event another id"
        )
        self.first = first


class AlreadyReversed(Exception):
    """The entry was reversed before, by the entry `by`."""

    def __init__(self, entry_id: str, by: str) -> None:
        super().__init__(f"entry {entry_id} is already reversed by {by}")
        self.by = by


class CannotReverse(Exception):
    """Entries of this kind are not reversed; `reason` says what to do instead."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SequenceOutOfStep(RuntimeError):
    """The account's sequence is not that of its newest entry: somebody changed rows by hand."""

    def __init__(self, account_id: str) -> None:
        super().__init__(f"account {account_id}: sequence out of step, run `passbell reconcile`")


class NoEarningRate(Exception):
    """The account has no tier and the programme none that it could have, so a purchase has no rate."""

    def __init__(self, account_id: str) -> None:
        super().__init__(f"account {account_id} has no tier: give the programme a tier with threshold 0")
