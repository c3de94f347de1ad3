"""The work of portals: which function does what, and what the clock starts."""

from functools import partial

from app.job_queue import Cron, Registered, kinds
from app.jobs.bitrix24 import (
    following,
    looking,
    polling,
    reconciling,
    setting_up,
    showing,
    texts,
)
from app.wiring import Services


def handlers(services: Services) -> dict[str, Registered]:
    """Every handler with its retry policy, by kind."""
    return {
        kinds.BITRIX24_FOLLOW: Registered(partial(following.follow, services), following.RETRY),
        kinds.BITRIX24_READ: Registered(partial(looking.read_deal, services), looking.RETRY),
        kinds.BITRIX24_TELL: Registered(partial(looking.tell, services), following.RETRY),
        kinds.BITRIX24_SHOW: Registered(partial(showing.show, services), showing.RETRY),
        kinds.BITRIX24_REPORT_TEXT: Registered(partial(texts.report, services), texts.RETRY),
        kinds.BITRIX24_SET_UP: Registered(partial(setting_up.set_up, services)),
        kinds.BITRIX24_POLL: Registered(partial(polling.poll, services), polling.RETRY),
        kinds.BITRIX24_RECONCILE: Registered(partial(reconciling.reconcile, services), reconciling.RETRY),
    }


def crons(services: Services) -> list[Cron]:
    """Every schedule, in UTC."""
    return [
        Cron("bitrix24_show", "* * * * *", partial(showing.ask_for, services)),
        Cron("bitrix24_poll", "*/5 * * * *", partial(polling.ask_for, services)),
        Cron("bitrix24_reconcile", "20 2 * * *", partial(reconciling.ask_for, services)),
    ]
