"""A condition as SQL over the members of a programme: who is meant, counted and listed by the database.

Every test is wrapped so that it is true or false, never NULL: the negation of a question about a missing
value is true in both compilers.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    and_,
    case,
    cast,
    false,
    func,
    not_,
    or_,
    select,
    true,
)

from app.campaigns import wallets
from app.campaigns.asking import COMPARE, Asking
from app.campaigns.conditions import (
    Calendar,
    Condition,
    Either,
    Events,
    Every,
    Expiring,
    Negated,
    PassExpiring,
    Received,
    Test,
)
from app.campaigns.fields import ANSWER, Field
from app.campaigns.history import reached
from app.campaigns.models import SegmentMember
from app.campaigns.spelling import Postgres, Spelling, Sql, Sqlite
from app.enrolment.models import Submission
from app.members.models import Account, Member, Tier
from app.passes.models import Pass
from app.points.models import Entry, Lot


def members_where(program_id: str, *conditions: ColumnElement[bool]) -> Select[str]:
    """The ids of a programme's members of whom all of these are true, with their accounts at hand."""
    return (
        select(Member.id)
        .join(Account, Account.id == Member.account_id)
        .where(Member.program_id == program_id, *conditions)
    )


def on_list(segment_id: str) -> ColumnElement[bool]:
    """Whether a member is on a list."""
    return Member.id.in_(select(SegmentMember.member_id).where(SegmentMember.segment_id == segment_id))


def compile_condition(
    condition: Condition, program_id: str, asking: Asking, *, database: str
) -> ColumnElement[bool]:
    """The condition over Member joined with Account. `database` is the dialect: "sqlite" or "postgresql"."""
    words = Sqlite() if database == "sqlite" else Postgres()
    return _Compiler(program_id, asking, words).compile(condition)


class _Compiler:
    def __init__(self, program_id: str, asking: Asking, words: Spelling) -> None:
        self._program_id, self._asking, self._words = program_id, asking, words

    def compile(  # noqa: PLR0911  one return for each kind of condition
        self, condition: Condition
    ) -> ColumnElement[bool]:
        match condition:
            case Every(parts):
                return and_(true(), *(self.compile(part) for part in parts))
            case Either(parts):
                return or_(false(), *(self.compile(part) for part in parts))
            case Negated(part):
                return not_(self.compile(part))
            case Test():
                return self._test(condition)
            case Events():
                return self._events(condition)
            case Expiring():
                return self._expiring(condition)
            case PassExpiring():
                return self._pass_expiring(condition)
            case Calendar(dates, within_days):
                return true() if self._asking.is_near(dates, within_days) else false()
            case Received():
                since = None if condition.within_days is None else self._asking.ago(condition.within_days)
                return Member.id.in_(reached(self._program_id, condition.campaign_id, since))

    def _events(self, condition: Events) -> ColumnElement[bool]:
        found = select(Entry.account_id).where(
            Entry.program_id == self._program_id, Entry.kind.in_(condition.kinds)
        )
        if condition.source is not None:
            found = found.where(Entry.source == condition.source)
        if condition.within_days is not None:
            found = found.where(Entry.at >= self._asking.ago(condition.within_days))
        measured = func.count() if condition.measure == "count" else func.sum(Entry.points)
        return self._grouped(found.group_by(Entry.account_id), measured, condition.op, condition.value)

    def _expiring(self, condition: Expiring) -> ColumnElement[bool]:
        found = select(Lot.account_id).where(
            Lot.program_id == self._program_id,
            Lot.remaining > 0,
            Lot.expires_at > self._asking.now,
            Lot.expires_at <= self._asking.ahead(condition.within_days),
        )
        measured = func.sum(Lot.remaining)
        return self._grouped(found.group_by(Lot.account_id), measured, condition.op, condition.value)

    def _pass_expiring(self, condition: PassExpiring) -> ColumnElement[bool]:
        found = select(Pass.member_id).where(
            Pass.program_id == self._program_id,
            Pass.state == "active",
            Pass.expires_at > self._asking.now,
            Pass.expires_at <= self._asking.ahead(condition.within_days),
        )
        if condition.template is not None:
            found = found.where(Pass.template == condition.template)
        return Member.id.in_(found)

    def _grouped(self, accounts: Select[str], measured: Sql, op: str, value: int) -> ColumnElement[bool]:
        """Accounts whose measure compares so. Those without a row measure zero: they are found by absence."""
        compared = COMPARE[op](measured, value)
        if COMPARE[op](0, value):
            return Member.account_id.not_in(accounts.having(not_(compared)))
        return Member.account_id.in_(accounts.having(compared))

    def _test(self, condition: Test) -> ColumnElement[bool]:
        asked = condition.field
        if asked.type == "choices":
            return self._choices(asked, None if condition.op == "known" else condition.value, condition)
        expression = self._expression(asked)
        if condition.op == "known":
            return expression.is_not(None) if condition.value else expression.is_(None)
        tested = _TESTS[asked.type](self, expression, condition)
        return func.coalesce(tested, false())

    def _choices(self, asked: Field, value: str | None, condition: Test) -> ColumnElement[bool]:
        found = self._has(asked, value)
        return not_(found) if condition.op == "known" and not condition.value else found

    def _has(self, asked: Field, value: str | None) -> ColumnElement[bool]:
        """Whether a set holds this value; None: any."""
        if asked.name == "wallets":
            return _installed(value, self._program_id)
        if asked.name == "joined_through":
            tags = select(Submission.member_id).where(
                Submission.program_id == self._program_id,
                Submission.member_id.is_not(None),
                Submission.source_tag != "" if value is None else Submission.source_tag == value,
            )
            return Member.id.in_(tags)
        return func.coalesce(self._words.includes(asked.name.removeprefix(ANSWER), value), false())

    def _expression(self, asked: Field) -> Sql:
        if asked.name.startswith(ANSWER):
            return self._answer(asked.name.removeprefix(ANSWER), asked.type)
        if asked.name == "age":
            return self._age()
        if asked.name == "birthday":
            return self._words.iso(Member.birthday)
        if asked.name == "installed":
            return _installed(None, self._program_id)
        if asked.name == "tier":
            return select(Tier.code).where(Tier.id == Account.tier_id).correlate(Account).scalar_subquery()
        return _COLUMNS[asked.name]

    def _answer(self, key: str, kind: str) -> Sql:
        """The answer where it is of the type the form gives it, else NULL: the API lets anything in."""
        if kind == "yes_no":
            return self._words.yes_no(key)
        if kind == "number":
            return self._words.number(key)
        text = self._words.text(key)
        return case((self._words.is_date(text), text), else_=None) if kind == "date" else text

    def _age(self) -> Sql:
        born = self._words.iso(Member.birthday)
        year = cast(func.substr(born, 1, 4), BigInteger)
        not_yet = case((self._asking.month_day < _month_day(born), 1), else_=0)
        return self._asking.today.year - year - not_yet

    def test_text(self, text: Sql, condition: Test) -> ColumnElement[bool]:
        match condition.op:
            case "is":
                return text == condition.value
            case "one_of":
                return text.in_(condition.value)
            case "starts_with":
                return func.substr(text, 1, len(condition.value)) == condition.value
            case _:
                return self._words.position(text, condition.value) > 0

    def test_number(self, number: Sql, condition: Test) -> ColumnElement[bool]:
        return COMPARE[condition.op](number, condition.value)

    def test_yes_no(self, value: Sql, condition: Test) -> ColumnElement[bool]:
        return value == (true() if condition.value else false())

    def test_date(self, date: Sql, condition: Test) -> ColumnElement[bool]:
        match condition.op:
            case "is":
                return date == condition.value
            case "before":
                return date < condition.value
            case "after":
                return date > condition.value
            case _:
                return _month_day(date).in_(sorted(self._asking.anniversaries(condition.value)))

    def test_moment(self, at: Sql, condition: Test) -> ColumnElement[bool]:
        match condition.op:
            case "before":
                return at < condition.value
            case "after":
                return at > condition.value
            case "within_days":
                return at >= self._asking.ago(condition.value)
            case "anniversary_within_days":
                days = sorted(self._asking.anniversaries(condition.value))
                return _month_day(self._words.iso_day(at)).in_(days)
            case _:
                return at < self._asking.ago(condition.value)


def _month_day(date: Sql) -> Sql:
    """31 May as 531."""
    return cast(func.substr(date, 6, 2), BigInteger) * 100 + cast(func.substr(date, 9, 2), BigInteger)


def _installed(wallet: str | None, program_id: str) -> ColumnElement[bool]:
    return Member.id.in_(wallets.members_with(program_id, wallet))


_COLUMNS: dict[str, Any] = {
    "name": Member.name,
    "phone": Member.phone,
    "email": Member.email,
    "card_number": Member.card_number,
    "language": Member.language,
    "state": Member.state,
    "joined": Member.created_at,
    "points": Account.balance,
    "tier_points": Account.tier_points,
}
_TESTS: dict[str, Callable[[_Compiler, Sql, Test], ColumnElement[bool]]] = {
    "text": _Compiler.test_text,
    "number": _Compiler.test_number,
    "choice": _Compiler.test_text,
    "yes_no": _Compiler.test_yes_no,
    "date": _Compiler.test_date,
    "moment": _Compiler.test_moment,
}
