"""The demo's programme: a coffee house and a chess school, with forms, tiers and an API key."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import new_id
from app.enrolment.forms import parse_definition
from app.enrolment.models import Form
from app.members.api_keys import create_key
from app.members.models import Program, Tier

CONSENTS: list[dict[str, Any]] = [
    {
        "kind": "personal_data",
        "version": "2026-11-01",
        "required": True,
        "text": {
            "en": "I agree that my data are processed to run the loyalty programme.",
            "ru": "Я согласен на обработку персональных данных для работы программы лояльности.",
        },
    },
    {
        "kind": "marketing",
        "version": "2026-11-01",
        "text": {
            "en": "Tell me about offers on the card and by SMS.",
            "ru": "Сообщайте мне об акциях на карте и по SMS.",
        },
    },
]

COFFEE_FORM: dict[str, Any] = {
    "languages": ["en", "ru"],
    "title": {"en": "Your Morrow Coffee card", "ru": "Ваша карта Morrow Coffee"},
    "intro": {
        "en": "Points for every cup, in your phone's wallet. 50 points to begin with.",
        "ru": "Баллы за каждую чашку, прямо в телефоне. 50 баллов сразу.",
    },
    "questions": [
        {
            "key": "favourite",
            "kind": "choice",
            "label": {"en": "Your usual", "ru": "Что обычно берёте"},
            "options": [
                {"value": "espresso", "label": {"en": "Espresso", "ru": "Эспрессо"}},
                {"value": "cappuccino", "label": {"en": "Cappuccino", "ru": "Капучино"}},
                {"value": "filter", "label": {"en": "Filter", "ru": "Фильтр"}},
                {"value": "tea", "label": {"en": "Tea", "ru": "Чай"}},
            ],
        },
        {
            "key": "own_cup",
            "kind": "yes_no",
            "label": {"en": "I bring my own cup", "ru": "Прихожу со своей кружкой"},
        },
    ],
    "consents": CONSENTS,
    "theme": {"accent": "#6f3d1f", "background": "#f5ede3"},
}

SCHOOL_FORM: dict[str, Any] = {
    "languages": ["ru", "en"],
    "title": {"ru": "Бонусная карта шахматной школы", "en": "Chess school bonus card"},
    "intro": {
        "ru": "Бонусы за занятия и турниры, для детей и родителей. 100 бонусов сразу.",
        "en": "Bonuses for lessons and tournaments, for children and parents. 100 to begin with.",
    },
    "questions": [
        {
            "key": "level",
            "kind": "choice",
            "required": True,
            "label": {"ru": "Уровень игры", "en": "Level"},
            "options": [
                {"value": "beginner", "label": {"ru": "Новичок", "en": "Beginner"}},
                {"value": "club", "label": {"ru": "Клубный игрок", "en": "Club player"}},
                {"value": "rated", "label": {"ru": "Есть рейтинг", "en": "Rated"}},
            ],
        },
        {
            "key": "goal",
            "kind": "text",
            "label": {"ru": "Чему хотите научиться?", "en": "What would you like to learn?"},
            "hint": {"ru": "Например, играть на турнирах", "en": "For example, to play tournaments"},
        },
    ],
    "consents": CONSENTS,
    "theme": {"accent": "#1f4d3a", "background": "#eaf1ec"},
}


async def seed(session: AsyncSession, *, now: datetime) -> dict[str, str]:
    """Create the demo's programmes unless they are there; an API key for each, by the programme's slug."""
    keys: dict[str, str] = {}
    for slug, make in (("coffee", _coffee), ("school", _school)):
        program = await session.scalar(select(Program).where(Program.slug == slug))
        if program is None:
            program = await make(session, now=now)
        _, keys[slug] = await create_key(session, program.id, name="demo desk", scopes=["*"], now=now)
    return keys


async def _coffee(session: AsyncSession, *, now: datetime) -> Program:
    program = Program(
        id=new_id("prg"),
        slug="coffee",
        name="Morrow Coffee",
        country="RU",
        language="en",
        currency="RUB",
        time_zone="Europe/Moscow",
        template="coffee",
        points_expire_after_days=365,
        tier_period_days=365,
        created_at=now,
    )
    await _add(session, program, COFFEE_FORM, opening_points=50, now=now)
    return program


async def _school(session: AsyncSession, *, now: datetime) -> Program:
    program = Program(
        id=new_id("prg"),
        slug="school",
        name="Школа «Ладья»",
        country="RU",
        language="ru",
        currency="RUB",
        time_zone="Europe/Moscow",
        template="school",
        points_expire_after_days=None,
        tier_period_days=365,
        created_at=now,
    )
    await _add(session, program, SCHOOL_FORM, opening_points=100, now=now)
    return program


TIERS: list[tuple[str, dict[str, str], int, int]] = [
    ("start", {"en": "Start", "ru": "Старт"}, 0, 500),
    ("silver", {"en": "Silver", "ru": "Серебряный"}, 500, 700),
    ("gold", {"en": "Gold", "ru": "Золотой"}, 1500, 1000),
]


async def _add(
    session: AsyncSession, program: Program, form: dict[str, Any], *, opening_points: int, now: datetime
) -> None:
    session.add(program)
    await session.flush()
    for code, names, threshold, rate in TIERS:
        session.add(
            Tier(
                id=new_id("tir"),
                program_id=program.id,
                code=code,
                names=names,
                threshold=threshold,
                rate_basis_points=rate,
            )
        )
    session.add(
        Form(
            id=new_id("frm"),
            program_id=program.id,
            slug=program.slug,
            definition=parse_definition(form).model_dump(mode="json"),
            opening_points=opening_points,
            is_open=True,
            created_at=now,
        )
    )
    await session.flush()
