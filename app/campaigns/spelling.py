"""Dates, texts and JSON in the words of either database, for the compiler of conditions."""

from collections.abc import Callable, Collection
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Numeric, String, and_, case, cast, exists, func, literal, select, true
from sqlalchemy import false as sql_false
from sqlalchemy.dialects.postgresql import JSONPATH

from app.members.models import Account, Member, Tier

Sql = ColumnElement[Any]
ANSWERS = Member.__table__.c.answers


class Spelling(Protocol):
    """What the compiler needs said. An answer is NULL where it is not of the type asked for."""

    def iso(self, column: Any) -> Sql: ...
    def iso_day(self, column: Any) -> Sql: ...
    def text(self, key: str) -> Sql: ...
    def number(self, key: str) -> Sql: ...
    def yes_no(self, key: str) -> Sql: ...
    def includes(self, key: str, value: str | None) -> Sql: ...
    def position(self, text: Sql, part: str) -> Sql: ...
    def is_date(self, text: Sql) -> Sql: ...


class Sqlite:
    """SQLite: JSON is text, and so are dates."""

    def iso(self, column: Any) -> Sql:
        return cast(column, String)

    def iso_day(self, column: Any) -> Sql:
        return func.substr(cast(column, String), 1, 10)

    def text(self, key: str) -> Sql:
        return case((self._is(key, "text"), self._value(key)), else_=None)

    def number(self, key: str) -> Sql:
        return case((self._is(key, "integer", "real"), self._value(key)), else_=None)

    def yes_no(self, key: str) -> Sql:
        return case((self._is(key, "true"), true()), (self._is(key, "false"), sql_false()), else_=None)

    def includes(self, key: str, value: str | None) -> Sql:
        each = func.json_each(ANSWERS, f"$.{key}").table_valued("value", "type", name="each_answer")
        found = select(literal(1)).select_from(each).where(each.c.type == "text")
        if value is not None:
            found = found.where(each.c.value == value)
        return and_(self._is(key, "array", "text"), exists(found.correlate(Member)))

    def position(self, text: Sql, part: str) -> Sql:
        return func.instr(text, part)

    def is_date(self, text: Sql) -> Sql:
        return text.op("GLOB")("[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]")

    def _is(self, key: str, *types: str) -> Sql:
        return func.json_type(ANSWERS, f"$.{key}").in_(types)

    def _value(self, key: str) -> Sql:
        return func.json_extract(ANSWERS, f"$.{key}")


class Postgres:
    """PostgreSQL: jsonb, and dates that must be written out."""

    def iso(self, column: Any) -> Sql:
        return func.to_char(column, "YYYY-MM-DD")

    def iso_day(self, column: Any) -> Sql:
        return func.to_char(func.timezone("UTC", column), "YYYY-MM-DD")

    def text(self, key: str) -> Sql:
        return case((self._is(key, "string"), self._value(key)), else_=None)

    def number(self, key: str) -> Sql:
        return case((self._is(key, "number"), cast(self._value(key), Numeric)), else_=None)

    def yes_no(self, key: str) -> Sql:
        return case((self._is(key, "boolean"), self._value(key) == "true"), else_=None)

    def includes(self, key: str, value: str | None) -> Sql:
        if value is None:
            # The lax mode takes a text by itself for a list of one.
            path = f'$.{key}[*] ? (@.type() == "string")'
            return func.jsonb_path_exists(ANSWERS, cast(literal(path), JSONPATH))
        contained = self._json(key).op("@>")(func.to_jsonb(cast(literal(value), String)))
        return and_(self._is(key, "array", "string"), contained)

    def position(self, text: Sql, part: str) -> Sql:
        return func.strpos(text, part)

    def is_date(self, text: Sql) -> Sql:
        return text.op("~")("^[0-9]{4}-[0-9]{2}-[0-9]{2}$")

    def _is(self, key: str, *types: str) -> Sql:
        return func.jsonb_typeof(self._json(key)).in_(types)

    def _json(self, key: str) -> Sql:
        return ANSWERS.op("->")(cast(literal(key), String))

    def _value(self, key: str) -> Sql:
        return ANSWERS.op("->>", return_type=String())(cast(literal(key), String))


class Facts(Protocol):
    """How a plan's facts are put together in SQL."""

    def answer_text(self, key: str) -> Sql: ...
    def object_of(self, names: Collection[str], language: Sql) -> Sql: ...


_COLUMNS: dict[str, Any] = {
    "member_name": Member.name,
    "card_number": Member.card_number,
    "points": Account.balance,
}
ANSWER_NAME = "answer_"


class SqliteFacts:
    """As a text that is JSON."""

    def answer_text(self, key: str) -> Sql:
        return Sqlite().text(key)

    def object_of(self, names: Collection[str], language: Sql) -> Sql:
        return func.json_object(*_pairs(names, self._fact, language))

    def _fact(self, name: str, language: Sql) -> Sql:
        if name.startswith(ANSWER_NAME):
            # Its type only stays when it is handed over as JSON.
            return func.json(ANSWERS.op("->")(f"$.{name.removeprefix(ANSWER_NAME)}"))
        if name == "tier":
            return func.coalesce(func.json_extract(Tier.names, literal("$.").concat(language)), Tier.code)
        if name == "birthday":
            return cast(Member.birthday, String)
        if name == "member_since":
            return func.substr(cast(Member.created_at, String), 1, 10)
        return _COLUMNS[name]


class PostgresFacts:
    """As jsonb."""

    def answer_text(self, key: str) -> Sql:
        return Postgres().text(key)

    def object_of(self, names: Collection[str], language: Sql) -> Sql:
        return func.jsonb_build_object(*_pairs(names, self._fact, language))

    def _fact(self, name: str, language: Sql) -> Sql:
        if name.startswith(ANSWER_NAME):
            return ANSWERS.op("->")(cast(literal(name.removeprefix(ANSWER_NAME)), String))
        if name == "tier":
            return func.coalesce(Tier.__table__.c.names.op("->>", return_type=String())(language), Tier.code)
        if name == "birthday":
            return func.to_char(Member.birthday, "YYYY-MM-DD")
        if name == "member_since":
            return func.to_char(func.timezone("UTC", Member.created_at), "YYYY-MM-DD")
        return _COLUMNS[name]


def _pairs(names: Collection[str], fact: Callable[[str, Sql], Sql], language: Sql) -> list[Sql]:
    """name, value, name, value ... of those that are a member's."""
    pairs: list[Sql] = []
    for name in sorted(names):
        if name not in ("program_name", "bonus"):
            pairs += [cast(literal(name), String), fact(name, language)]
    return pairs


def facts_spelling(database: str) -> Facts:
    """The spelling of a dialect."""
    return PostgresFacts() if database == "postgresql" else SqliteFacts()
