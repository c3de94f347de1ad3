"""An enrolment form: what it asks in which language, and reading what a person filled in.

A definition is data, kept in `Form.definition`; `parse_definition` checks it once, by name.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any, Literal

import phonenumbers
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from app.members.people import InvalidPhone, parse_phone

Key = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]  # ISO 3166
Localised = dict[str, Annotated[str, StringConstraints(min_length=1, max_length=2000)]]  # by language

# An origin as a content policy writes it: "https://school.example", "https://*.school.example".
Site = Annotated[str, StringConstraints(pattern=r"^https?://(\*\.)?[a-z0-9.-]{1,253}(:(\*|[0-9]{1,5}))?$")]

NAME_MAX = 128
YES = "yes"  # what a ticked yes_no sends
ANSWER_MAX = 500
OLDEST_YEARS = 120
# Where numbers say nothing of their kind (as in the United States), fixed and mobile cannot be told apart.
TAKES_SMS = frozenset(
    {
        phonenumbers.PhoneNumberType.MOBILE,
        phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE,
        phonenumbers.PhoneNumberType.PERSONAL_NUMBER,
    }
)
OUR_FIELDS = frozenset({"name", "phone", "birthday", "language", "proof", "website", "src"})
# Names a browser's form already has: a field called so would stand in their place in the page's script.
DOM_NAMES = frozenset({"join", "submit", "elements", "dataset", "action", "method"})
# Control characters, halves of surrogate pairs, and what turns the direction of the text after it.
_UNWANTED = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Option(_Strict):
    value: Key
    label: Localised


class Question(_Strict):
    """One of the brand's own questions. `choice` takes one option, `choices` several."""

    key: Key
    kind: Literal["text", "number", "date", "choice", "choices", "yes_no"]
    label: Localised
    hint: Localised = Field(default_factory=dict)
    required: bool = False
    options: tuple[Option, ...] = ()

    @model_validator(mode="after")
    def _has_options(self) -> "Question":
        if (self.kind in ("choice", "choices")) != bool(self.options):
            raise ValueError(f"question {self.key!r}: options belong to choice and choices, and only to them")
        values = [option.value for option in self.options]
        if repeated := sorted({value for value in values if values.count(value) > 1}):
            raise ValueError(f"question {self.key!r}: options used twice: {', '.join(repeated)}")
        return self


class ConsentText(_Strict):
    """A tick box. The text a person saw is kept with its version as evidence."""

    kind: Key
    version: str = Field(min_length=1, max_length=32)
    text: Localised
    url: str | None = Field(None, pattern=r"^https?://")  # the full document
    required: bool = False


class Theme(_Strict):
    """The brand's colours, as #rrggbb."""

    accent: str = Field("#3c2415", pattern=r"^#[0-9a-fA-F]{6}$")
    background: str = Field("#f6efe6", pattern=r"^#[0-9a-fA-F]{6}$")


class FormDefinition(_Strict):
    """A form in every language it speaks: the first is its default."""

    languages: tuple[str, ...] = Field(min_length=1)
    title: Localised
    intro: Localised
    asks_birthday: bool = True
    requires_birthday: bool = False
    questions: tuple[Question, ...] = ()
    consents: tuple[ConsentText, ...]
    countries: tuple[Country, ...] = ()  # whose phone numbers may enrol; none: the programme's own
    theme: Theme = Field(default_factory=lambda: Theme.model_validate({}))
    sites: tuple[Site, ...] = ()  # of the brand, which may show the form in a frame

    @model_validator(mode="after")
    def _is_whole(self) -> "FormDefinition":
        names = [question.key for question in self.questions] + [
            f"consent_{each.kind}" for each in self.consents
        ]
        repeated = {name for name in names if names.count(name) > 1 or name in OUR_FIELDS | DOM_NAMES}
        if repeated:
            raise ValueError(f"field names used twice or reserved: {', '.join(sorted(repeated))}")
        for text in self._texts():
            if missing := set(self.languages) - text.keys():
                raise ValueError(f"a text lacks {', '.join(sorted(missing))}: {text}")
        return self

    def _texts(self) -> list[Localised]:
        texts = [self.title, self.intro, *(each.text for each in self.consents)]
        for question in self.questions:
            texts += [question.label, *(option.label for option in question.options)]
            texts += [question.hint] if question.hint else []
        return texts


def parse_definition(data: Mapping[str, Any]) -> FormDefinition:
    """The definition kept in a form's row. Raises pydantic.ValidationError naming the field."""
    return FormDefinition.model_validate(data)


@dataclass(frozen=True)
class Given:
    """One consent as it was answered, with the words the person saw."""

    consent: ConsentText
    text: str
    given: bool


@dataclass(frozen=True)
class Filled:
    """A correctly filled form."""

    name: str
    phone: str  # E.164
    birthday: date | None
    language: str
    answers: dict[str, Any]
    consents: tuple[Given, ...]


@dataclass
class Mistakes(Exception):
    """What is wrong with a filling: by field name, the key of a text that says so and how to mend it."""

    by_field: dict[str, str] = field(default_factory=dict[str, str])


def read(
    definition: FormDefinition,
    data: Mapping[str, Sequence[str]],
    *,
    country: str,
    language: str,
    today: date,
) -> Filled:
    """What a person filled in, checked; `data` has every value of a name. Raises Mistakes, all at once."""
    mistakes: dict[str, str] = {}
    name = _read_name(_first(data, "name"), mistakes)
    phone = _read_phone(definition, _first(data, "phone"), country, mistakes)
    birthday = _read_birthday(definition, _first(data, "birthday"), today, mistakes)
    answers = {question.key: _read_answer(question, data, mistakes) for question in definition.questions}
    consents = tuple(_read_consent(each, data, language, mistakes) for each in definition.consents)
    if mistakes:
        raise Mistakes(mistakes)
    given_answers = {key: answer for key, answer in answers.items() if answer is not None}
    return Filled(name, phone, birthday, language, given_answers, consents)


def clean(text: str) -> str:
    """The text in one line, as a keyboard writes it: composed letters, single spaces, nothing invisible."""
    return " ".join(unicodedata.normalize("NFC", _UNWANTED.sub("", text)).split())


def _values(data: Mapping[str, Sequence[str]], name: str) -> list[str]:
    cleaned = (clean(value) for value in data.get(name, ()))
    return [value for value in cleaned if value]


def _first(data: Mapping[str, Sequence[str]], name: str) -> str:
    return next(iter(_values(data, name)), "")


def _read_name(name: str, mistakes: dict[str, str]) -> str:
    if not name:
        mistakes["name"] = "required"
    elif not any(character.isalpha() for character in name):
        mistakes["name"] = "name_letters"
    elif len(name) > NAME_MAX:
        mistakes["name"] = "too_long"
    return name


def _read_phone(definition: FormDefinition, text: str, country: str, mistakes: dict[str, str]) -> str:
    if not text:
        mistakes["phone"] = "required"
        return ""
    try:
        phone = parse_phone(text, country)
    except InvalidPhone:
        mistakes["phone"] = "phone_invalid"
        return ""
    number = phonenumbers.parse(phone)
    if phonenumbers.region_code_for_number(number) not in (definition.countries or (country,)):
        mistakes["phone"] = "phone_country"
    elif phonenumbers.number_type(number) not in TAKES_SMS:
        mistakes["phone"] = "phone_not_mobile"
    return phone


def _read_birthday(
    definition: FormDefinition, text: str, today: date, mistakes: dict[str, str]
) -> date | None:
    if not definition.asks_birthday or not text:
        if definition.requires_birthday:
            mistakes["birthday"] = "required"
        return None
    try:
        birthday = date.fromisoformat(text)
    except ValueError:
        mistakes["birthday"] = "date"
        return None
    if not today.year - OLDEST_YEARS <= birthday.year or birthday > today:
        mistakes["birthday"] = "birthday_range"
        return None
    return birthday


def _read_answer(
    question: Question, data: Mapping[str, Sequence[str]], mistakes: dict[str, str]
) -> str | int | bool | list[str] | None:
    values = _values(data, question.key)
    if not values:
        if question.required:
            mistakes[question.key] = "required"
        return False if question.kind == "yes_no" else None
    answer, mistake = _parse_answer(question, values)
    if mistake:
        mistakes[question.key] = mistake
    return answer


def _parse_answer(  # noqa: PLR0911  one return for each kind of question
    question: Question, values: Sequence[str]
) -> tuple[str | int | bool | list[str] | None, str | None]:
    text = values[0]
    known = {option.value for option in question.options}
    match question.kind:
        case "text":
            return (text, None) if len(text) <= ANSWER_MAX else (None, "too_long")
        case "number":
            digits = text.removeprefix("-")
            is_number = digits.isascii() and digits.isdigit() and len(digits) <= 12
            return (int(text), None) if is_number else (None, "number")
        case "date":
            try:
                return date.fromisoformat(text).isoformat(), None
            except ValueError:
                return None, "date"
        case "choice":
            return (text, None) if text in known else (None, "choice")
        case "choices":
            chosen = list(dict.fromkeys(values))
            return (chosen, None) if known.issuperset(chosen) else (None, "choice")
        case "yes_no":
            return (True, None) if text == YES else (None, "choice")


def _read_consent(
    consent: ConsentText, data: Mapping[str, Sequence[str]], language: str, mistakes: dict[str, str]
) -> Given:
    name = f"consent_{consent.kind}"
    seen = _first(data, name)  # the box sends the version of the text beside it
    if seen and seen != consent.version:
        mistakes[name] = "consent_changed"
    elif consent.required and not seen:
        mistakes[name] = "consent"
    return Given(consent, consent.text[language], given=bool(seen))
