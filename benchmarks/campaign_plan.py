"""Planning a campaign to a million members on PostgreSQL: seconds, and this process's memory.

python -m benchmarks.campaign_plan [--members 1000000]
"""

import argparse
import asyncio
import json
import resource
import secrets
import time

import asyncpg
from sqlalchemy import text

from app import migrations
from app.campaigns import drafts, plan
from app.db import open_engine, open_sessions
from benchmarks._program import POSTGRES, cpu_seconds, report
from tests.make import NOON, make_program

# Every third has no phone with the card, and half of those a number and a consent.
_MEMBERS = """
INSERT INTO accounts (id, program_id, phone, balance, sequence, tier_is_manual, tier_points, created_at)
SELECT 'acc_' || lpad(n::text, 26, '0'), '{program}', '+7' || (9000000000 + n), n % 1000, 1, false, 0, now()
FROM generate_series(1, {members}) n;
INSERT INTO members (id, program_id, account_id, card_number, name, phone, language, answers, state,
  created_at)
SELECT 'mem_' || substr(md5(n::text), 1, 26), '{program}', 'acc_' || lpad(n::text, 26, '0'), n::text,
  'Anna ' || n, '+7' || (9000000000 + n),
  CASE WHEN n % 2 = 0 THEN 'ru' ELSE 'en' END,
  jsonb_build_object('favourite', 'tea'), 'active', now()
FROM generate_series(1, {members}) n;
INSERT INTO passes (id, program_id, member_id, serial_number, template, state, message, version,
  last_modified, created_at)
SELECT 'pas_' || lpad(n::text, 26, '0'), '{program}', 'mem_' || substr(md5(n::text), 1, 26), n::text,
  'coffee', 'active', '', 1, 0, now()
FROM generate_series(1, {members}) n;
INSERT INTO registrations (device_library_identifier, pass_id, program_id, push_service, push_token,
  pushed_version, registered_at, seen_at)
SELECT n::text, 'pas_' || lpad(n::text, 26, '0'), '{program}', 'apns', 'aa', 1, now(), now()
FROM generate_series(1, {members}) n WHERE n % 3 > 0;
INSERT INTO consents (id, program_id, member_id, kind, version, language, text, given, at)
SELECT 'con_' || n, '{program}', 'mem_' || substr(md5(n::text), 1, 26), 'marketing', '1', 'en', '', true,
  now()
FROM generate_series(1, {members}) n WHERE n % 2 = 0;
ANALYZE accounts; ANALYZE members; ANALYZE passes; ANALYZE registrations; ANALYZE consents;
"""
_DEFINITION = {
    "condition": {
        "all": [
            {"field": "points", "op": "at_least", "value": 0},
            {"field": "answers.favourite", "op": "is", "value": "tea"},
        ]
    },
    "variants": [
        {
            "name": "a",
            "percent": 45,
            "texts": {"en": "{{ member_name }}: {{ points }}", "ru": "Баллы: {{ points }}"},
        },
        {"name": "b", "percent": 45, "texts": {"en": "Double points", "ru": "Двойные баллы"}},
    ],
    "hold_out_percent": 10,
    "points": 50,
    "fallback": {"channel": "sms", "texts": {"en": "Double points", "ru": "Двойные баллы на всё меню"}},
}
_FORM = """
INSERT INTO forms (id, program_id, slug, definition, opening_points, is_open, created_at)
VALUES ('frm_1', '{program}', 'bench', '{form}', 0, true, now());
"""
_QUESTIONS = {
    "languages": ["en"],
    "title": {"en": "Card"},
    "intro": {"en": "Card"},
    "consents": [],
    "questions": [{"key": "favourite", "kind": "text", "label": {"en": "Favourite"}}],
}


async def run(members: int) -> None:
    name = f"passbell_bench_{secrets.token_hex(4)}"
    server = await asyncpg.connect(POSTGRES.render_as_string(hide_password=False))
    await server.execute(f'CREATE DATABASE "{name}"')
    engine = open_engine(POSTGRES.set(database=name).render_as_string(hide_password=False))
    try:
        await migrations.upgrade(engine)
        sessions = open_sessions(engine)
        async with sessions.begin() as session:
            program = await make_program(session)
        filling = await asyncpg.connect(POSTGRES.set(database=name).render_as_string(hide_password=False))
        form = json.dumps(_QUESTIONS)
        await filling.execute((_FORM + _MEMBERS).format(program=program.id, members=members, form=form))
        await filling.close()

        before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        started, cpu_started = time.perf_counter(), time.process_time()
        async with sessions.begin() as session:
            backend = int(await session.scalar(text("SELECT pg_backend_pid()")) or 0)
            server_started = cpu_seconds(backend)
            campaign = await drafts.create(
                session, program.id, name="bench", definition=_DEFINITION, by="bench", now=NOON
            )
            made = await plan.make(session, campaign, {"coffee": ""}, by="bench", now=NOON)
            server_took = cpu_seconds(backend) - server_started
        took, cpu_took = time.perf_counter() - started, time.process_time() - cpu_started
        async with sessions() as session:
            size = await session.scalar(text("SELECT pg_total_relation_size('recipients')"))
        report(
            "campaign_plan",
            round(took, 1),
            "s",
            database="postgresql",
            members=members,
            recipients=made.recipients,
            cpu_s=round(cpu_took, 1),
            server_cpu_s=round(server_took, 1),
            by_route=made.totals["by_route"],
            sms_parts=made.totals["sms"]["parts"],
            rss_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            rss_before_mb=round(before_mb),
            table_mb=round((size or 0) / 2**20),
        )
    finally:
        await engine.dispose()
        await server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await server.close()


def main() -> None:
    """Run it and print the line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=1_000_000)
    asyncio.run(run(parser.parse_args().members))


if __name__ == "__main__":
    main()
