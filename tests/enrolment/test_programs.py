from pathlib import Path

import pytest
from sqlalchemy import func, select

from app.enrolment.models import Form
from app.enrolment.programs import ProgramFileError, apply, load_program
from app.members.models import Program, Tier
from tests.make import NOON

SHIPPED = sorted((Path(__file__).parents[2] / "app" / "demo" / "programs").glob("*.toml"))
SCHOOL = next(path for path in SHIPPED if path.stem == "school")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
async def test_a_shipped_file_makes_a_programme_with_tiers_and_a_form(session, path):
    program = await apply(session, load_program(path), now=NOON)

    tiers = (await session.scalars(select(Tier.threshold).where(Tier.program_id == program.id))).all()
    form = (await session.scalars(select(Form).where(Form.program_id == program.id))).one()
    assert sorted(tiers)[0] == 0
    assert len(tiers) == 3
    assert form.slug == program.slug
    assert set(form.definition["languages"]) == {"en", "ru"}


async def test_applying_a_changed_file_changes_what_differs_and_adds_nothing_twice(session, tmp_path):
    changed = tmp_path / "school.toml"
    changed.write_text(SCHOOL.read_text("utf-8").replace("threshold = 1000", "threshold = 1200"), "utf-8")

    first = await apply(session, load_program(SCHOOL), now=NOON)
    second = await apply(session, load_program(changed), now=NOON)

    assert first.id == second.id
    thresholds = (await session.scalars(select(Tier.threshold).order_by(Tier.threshold))).all()
    assert thresholds == [0, 1200, 3000]
    for table in (Program, Form):
        assert await session.scalar(select(func.count()).select_from(table)) == 1


@pytest.mark.parametrize(
    ("was", "becomes", "named"),
    [
        ('country = "RU"', 'country = "Russia"', "program.country"),
        ('currency = "RUB"', 'currency = "roubles"', "program.currency"),
        ('time_zone = "Europe/Moscow"', 'time_zone = "Moscow"', "program.time_zone"),
        ('slug = "school"\nname', 'slug = "Школа"\nname', "program.slug"),
        ("threshold = 1000", 'threshold = "many"', "tiers.1.threshold"),
        ('kind = "choice"', 'kind = "poem"', "form.questions.0.kind"),
        ('kind = "choice"', 'kind = "text"', "options belong to choice"),
        ('ru = "Ладья", en = "Rook" }', 'ru = "Ладья", en = "Rook" ', "not TOML"),
        ('label = { ru = "Уровень игры", en = "Level" }', 'label = { ru = "Уровень игры" }', "lacks en"),
        ('key = "goal"', 'key = "phone"', "reserved"),
        ("[form]\n", '[form]\ncolour = "green"\n', "form.colour"),
    ],
)
def test_a_wrong_file_is_refused_by_the_name_of_its_key(tmp_path, was, becomes, named):
    text = SCHOOL.read_text("utf-8")
    assert was in text
    wrong = tmp_path / "school.toml"
    wrong.write_text(text.replace(was, becomes, 1), "utf-8")

    with pytest.raises(ProgramFileError, match=named):
        load_program(wrong)
