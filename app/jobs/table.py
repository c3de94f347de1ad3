"""Which function runs which kind of work, and what the clock starts: the whole table."""

from functools import partial

from app.job_queue import Cron, Registered, kinds
from app.jobs import (
    class_messages,
    google_watching,
    handle_inbound,
    nightly,
    push_apple,
    push_apple_chunk,
    push_web,
    run_campaign,
    send_messages,
    send_webhooks,
    update_google,
)
from app.jobs.bitrix24 import work as bitrix24
from app.wiring import Services


def handlers(services: Services) -> dict[str, Registered]:
    """Every handler with its retry policy, by kind."""
    return {
        kinds.PUSH_APPLE: Registered(partial(push_apple.push_apple, services), push_apple.RETRY),
        kinds.PUSH_APPLE_CHUNK: Registered(
            partial(push_apple_chunk.push_apple_chunk, services),
            push_apple.RETRY,
            concurrency_limit=push_apple_chunk.AT_ONCE,
        ),
        kinds.UPDATE_GOOGLE: Registered(
            partial(update_google.update_google, services),
            update_google.RETRY,
            concurrency_limit=update_google.LIVE_SEATS,
        ),
        kinds.UPDATE_GOOGLE_BULK: Registered(
            partial(update_google.update_google, services, is_bulk=True),
            update_google.RETRY,
            concurrency_limit=update_google.SEATS,
        ),
        kinds.PUSH_WEB: Registered(partial(push_web.push_web, services), push_web.RETRY),
        kinds.CLASS_MESSAGE: Registered(
            partial(class_messages.send_class_message, services), class_messages.RETRY
        ),
        kinds.CHECK_GOOGLE: Registered(
            partial(google_watching.check_holders, services), google_watching.RETRY, concurrency_limit=4
        ),
        kinds.SEND_MESSAGE: Registered(
            partial(send_messages.send_message, services),
            send_messages.RETRY,
            on_hold=partial(send_messages.give_up, services),
        ),
        kinds.HANDLE_INBOUND: Registered(
            partial(handle_inbound.handle_inbound, services),
            handle_inbound.RETRY,
            on_hold=partial(handle_inbound.give_up, services),
        ),
        kinds.PLAN_CAMPAIGN: Registered(
            partial(run_campaign.plan_campaign, services),
            on_hold=partial(run_campaign.give_up_planning, services),
        ),
        kinds.FOLLOW_CAMPAIGN: Registered(partial(run_campaign.follow_campaign, services)),
        kinds.FIRE_RULE: Registered(partial(run_campaign.fire_rule, services)),
        kinds.RUN_CAMPAIGN: Registered(
            partial(run_campaign.run_campaign, services), on_hold=partial(run_campaign.give_up, services)
        ),
        kinds.SEND_WEBHOOK: Registered(
            partial(send_webhooks.send_webhook, services),
            send_webhooks.RETRY,
            concurrency_limit=send_webhooks.AT_ONCE,
        ),
        kinds.NIGHTLY: Registered(partial(nightly.do, services)),
        **bitrix24.handlers(services),
    }


def crons(services: Services) -> list[Cron]:
    """Every schedule, in UTC."""
    return [
        Cron("rules", "*/15 * * * *", partial(run_campaign.ask_for_rules, services)),
        Cron("sweep", "* * * * *", partial(push_apple.sweep, services)),
        Cron("google_keys", "* * * * * */20", partial(google_watching.fetch_keys, services)),
        Cron("sweep_google", "* * * * *", partial(update_google.sweep, services)),
        Cron("sweep_web", "* * * * *", partial(push_web.sweep, services)),
        *(
            Cron(duty, expression, partial(nightly.ask_for, services, duty))
            for duty, (expression, _) in nightly.DUTIES.items()
        ),
        *bitrix24.crons(services),
    ]
