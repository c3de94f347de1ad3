"""What a marketer writes down: whom to tell, what in which language, points, when, and how it is tested."""

from collections.abc import Mapping, Sequence
from datetime import datetime, time
from functools import cached_property
from typing import Annotated, Any, Literal, Protocol, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

Key = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Z]{2})?$")]


def _storable(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("must not contain NUL or lone surrogates")
    return text


Source = Annotated[str, StringConstraints(min_length=1, max_length=4000), AfterValidator(_storable)]
Texts = Annotated[dict[Language, Source], Field(max_length=20)]
HOLD_OUT, REST = "hold_out", "rest"
ONLY = "all"  # the name of the one variant of a campaign without a test


class InvalidDefinition(Exception):
    """A campaign that cannot be sent as it is written: where, and what to write instead."""

    def __init__(self, path: str, remedy: str) -> None:
        super().__init__(f"{path}: {remedy}")
        self.path, self.remedy = path, remedy


def _local(text: str) -> str:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError("write a local time like 2026-12-01T10:00") from error
    if at.tzinfo is not None:
        raise ValueError("write it without a zone: `zone` says whose clock it is")
    return at.isoformat()


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Written(Protocol):
    @property
    def channel(self) -> str: ...
    @property
    def texts(self) -> Mapping[str, str]: ...
    @property
    def subjects(self) -> Mapping[str, str]: ...


Written = TypeVar("Written", bound=_Written)


def _with_subjects(written: Written) -> Written:
    if written.channel == "email" and (missing := written.texts.keys() - written.subjects.keys()):
        raise ValueError(f"an e-mail needs a subject in every language: {', '.join(sorted(missing))}")
    return written


class Variant(_Strict):
    """One arm of a test. `percent` of the audience; what the variants leave waits for the winner."""

    name: Key
    percent: int = Field(ge=1, le=100, strict=True)
    texts: Texts
    points: int | None = Field(None, ge=0, le=1_000_000_000, strict=True)


class QuietHours(_Strict):
    """Nothing is sent from `since` to `until`, on the clock that `zone` names; over midnight too."""

    since: time
    until: time

    @model_validator(mode="after")
    def _is_some_of_the_day(self) -> "QuietHours":
        if self.since == self.until or self.since.tzinfo or self.until.tzinfo:
            raise ValueError('write two different times of day, like "21:00" and "09:00"')
        return self


class Cap(_Strict):
    """No member gets more than so many campaigns in so many days; whoever has had them is left out."""

    campaigns: int = Field(ge=1, le=100, strict=True)
    days: int = Field(ge=1, le=365, strict=True)


class Fallback(_Strict):
    """What reaches those whose card is on no phone."""

    channel: Literal["sms", "email"]
    texts: Texts
    subjects: Texts = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_subjects(self) -> "Fallback":
        return _with_subjects(self)


class FollowUp(_Strict):
    """What those hear next who have not done `unless` so long after the campaign was through."""

    after_minutes: int = Field(ge=1, le=60 * 24 * 30, strict=True)
    unless: Literal["fetched", "opened", "redeemed"]
    channel: Literal["wallet", "sms", "email"]
    texts: Texts
    subjects: Texts = Field(default_factory=dict)
    points: int = Field(0, ge=0, le=1_000_000_000, strict=True)

    @model_validator(mode="after")
    def _has_subjects(self) -> "FollowUp":
        return _with_subjects(self)


class Definition(_Strict):
    """A campaign as it is drafted.

    `send_at` is a local time, of the programme or of each member (the answer "time_zone", else the
    programme's); without it the campaign is sent when it is approved. `default_language` is for members
    whose own language has no text.
    """

    segment_id: str | None = Field(None, max_length=64)
    condition: dict[str, Any] | None = None
    channel: Literal["wallet", "sms", "email"] = "wallet"
    texts: Texts = Field(default_factory=dict)
    subjects: Texts = Field(default_factory=dict)  # of an e-mail
    variants: tuple[Variant, ...] = Field((), max_length=5)
    hold_out_percent: int = Field(0, ge=0, le=50, strict=True)
    default_language: Language | None = None
    points: int = Field(0, ge=0, le=1_000_000_000, strict=True)
    fallback: Fallback | None = None
    follow_ups: tuple[FollowUp, ...] = Field((), max_length=5)
    send_at: Annotated[str, AfterValidator(_local)] | None = None
    zone: Literal["program", "member"] = "program"
    quiet_hours: QuietHours | None = None
    per_second: int | None = Field(None, ge=1, le=10_000, strict=True)
    cap: Cap | None = None
    window_days: int = Field(7, ge=1, le=90, strict=True)  # in which a redemption counts as its success

    @model_validator(mode="after")
    def _is_whole(self) -> "Definition":
        if (self.segment_id is None) == (self.condition is None):
            raise ValueError("name one audience: either segment_id or condition")
        if bool(self.texts) == bool(self.variants):
            raise ValueError("write either texts or variants")
        names = [variant.name for variant in self.variants]
        if len(set(names)) < len(names) or {HOLD_OUT, REST, ONLY} & set(names):
            raise ValueError(f"variants need names of their own, and not {HOLD_OUT}, {REST} or {ONLY}")
        if sum(variant.percent for variant in self.variants) + self.hold_out_percent > 100:
            raise ValueError("variants and hold-out are more than 100 percent together")
        if not all(variant.texts for variant in self.variants):
            raise ValueError("every variant needs a text")
        if self.channel != "wallet" and self.fallback is not None:
            raise ValueError("a fallback is for those without a card: it goes with the channel wallet")
        if self.channel == "email":
            for arm in self.arms:
                if missing := arm.texts.keys() - self.subjects.keys():
                    raise ValueError(f"an e-mail needs a subject in {', '.join(sorted(missing))}")
        return self

    @cached_property
    def arms(self) -> tuple[Variant, ...]:
        """The variants; for a campaign without a test the one that everybody gets."""
        if self.variants:
            return self.variants
        return (Variant(name=ONLY, percent=100, texts=self.texts, points=self.points),)

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages every text there is speaks."""
        texts = [each.texts for each in (*self.arms, *self.follow_ups)]
        texts += [self.fallback.texts] if self.fallback else []
        return tuple(sorted(each for each in texts[0] if all(each in others for others in texts)))

    @cached_property
    def _arms_by_name(self) -> dict[str, Variant]:
        return {each.name: each for each in self.arms}

    def arm(self, variant: str) -> Variant:
        """The arm of this name."""
        return self._arms_by_name[variant]

    def texts_on(self, route: str, variant: str) -> Mapping[str, str]:
        """The texts of an arm on a route: those of the fallback where it is not the campaign's own."""
        if self.fallback is not None and route == self.fallback.channel:
            return self.fallback.texts
        return self.arm(variant).texts

    def subjects_on(self, route: str) -> Mapping[str, str]:
        """The subjects of the e-mails on a route; empty for all else."""
        if self.fallback is not None and route == self.fallback.channel:
            return self.fallback.subjects
        return self.subjects

    def points_of(self, variant: str) -> int:
        """The points a member of this arm gets."""
        own = self.arm(variant).points
        return self.points if own is None else own


def parse(data: Mapping[str, Any]) -> Definition:
    """A definition read from JSON. Raises InvalidDefinition."""
    try:
        return Definition.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidDefinition(
            _path(first["loc"]), str(first["msg"]).removeprefix("Value error, ")
        ) from error


def _path(place: Sequence[int | str]) -> str:
    return "/" + "/".join(str(part)[:64] for part in place)
