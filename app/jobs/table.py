"""Which function runs which kind of work, and what the clock starts: the whole table."""

from functools import partial

from app.job_queue import Cron, Registered, kinds
from app.jobs import nightly, push_apple, send_messages
from app.wiring import Services


def handlers(services: Services) -> dict[str, Registered]:
    """Every handler with its retry policy, by kind."""
    return {
        kinds.PUSH_APPLE: Registered(partial(push_apple.push_apple, services), push_apple.RETRY),
        kinds.SEND_MESSAGE: Registered(
            partial(send_messages.send_message, services),
            send_messages.RETRY,
            on_hold=partial(send_messages.give_up, services),
        ),
    }


def crons(services: Services) -> list[Cron]:
    """Every schedule, in UTC."""
    return [
        Cron("sweep", "* * * * *", partial(push_apple.sweep, services)),
        Cron("expire_points", "17 * * * *", partial(nightly.expire_points, services)),
        Cron("retier", "40 0 * * *", partial(nightly.retier, services)),
        Cron("reconcile", "10 1 * * *", partial(nightly.reconcile, services)),
        Cron("prune", "30 2 * * *", partial(nightly.prune, services)),
    ]
