"""The kinds of values the API takes and gives: texts, ids, points, money, times, and models made of them."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar

from fastapi import Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer

POINTS_MAX = 2**53  # the largest integer every JSON reader keeps exact
_SURROGATES = ("\ud800", "\udfff")


def storable(text: str) -> str:
    """PostgreSQL stores no NUL, and UTF-8 knows no lone surrogates: better refused here, by name."""
    if "\0" in text:
        raise ValueError("must not contain the NUL character (U+0000)")
    if any(_SURROGATES[0] <= character <= _SURROGATES[1] for character in text):
        raise ValueError("must not contain lone surrogates (U+D800 to U+DFFF)")
    return text


def written_time(at: datetime) -> str:
    """A moment as the API gives it: "2030-06-03T12:00:00.000Z"."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _filled(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


Text = Annotated[str, AfterValidator(storable)]
Name = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(storable), AfterValidator(_filled)]
Word = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(storable)]
Reason = Annotated[str, Field(max_length=256), AfterValidator(storable)]
SourceEvent = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(storable)]
IdInBody = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(storable)]
IdInPath = Annotated[str, Path(min_length=1, max_length=64), AfterValidator(storable)]
Points = Annotated[int, Field(strict=True, ge=-POINTS_MAX, le=POINTS_MAX)]
Money = Annotated[
    str,
    Field(pattern=r"^[0-9]{1,12}(\.[0-9]{1,2})?$", examples=["199.00"]),
    AfterValidator(storable),
]
Time = Annotated[datetime, PlainSerializer(written_time, return_type=str)]
MoneyOut = Annotated[Decimal, PlainSerializer(lambda amount: f"{amount:f}", return_type=str)]


class Taken(BaseModel):
    """What the API takes: a field it does not know is refused by name."""

    model_config = ConfigDict(extra="forbid")


class Given(BaseModel):
    """What the API gives. Clients must ignore fields they do not know: more may come."""


Item = TypeVar("Item", bound=BaseModel)


class Page(Given, Generic[Item]):
    """One page of a list, newest first; `next_cursor` leads to the next."""

    object: Literal["list"] = "list"
    data: list[Item]
    has_more: bool
    next_cursor: str | None = Field(None, examples=["mem_01k9xv3m8qf7w2c5r1t0abcdex"])


class ProblemOut(Given):
    """An error (RFC 9457). `code` is stable; `errors` names the fields at fault."""

    type: str = Field(examples=["https://passbell.org/problems/not_enough_points"])
    title: str = Field(examples=["Not enough points"])
    status: int = Field(examples=[409])
    detail: str = Field(examples=["balance 120, asked 500"])
    code: str = Field(examples=["not_enough_points"])
    request_id: str
    errors: list[dict[str, Any]] | None = Field(
        None, examples=[[{"pointer": "/body/points", "detail": "Input should be a valid integer"}]]
    )
