"""The work engine's port: a job is a row in the transaction that caused it, run after the commit.

PgQueuer stands behind it on both databases. Nothing outside this package imports PgQueuer.
"""

from app.job_queue.enqueue import (
    JsonScalar,
    NotInTransaction,
    enqueue,
    enqueue_in,
    enqueue_many,
    enqueue_sql,
    wake,
)
from app.job_queue.held import HeldJob, QueueStats, held, prune_log, requeue, stats
from app.job_queue.retry import Retry
from app.job_queue.worker import Cron, CronFunction, Handler, Registered, Wake, run_worker

__all__ = [
    "Cron",
    "CronFunction",
    "Handler",
    "HeldJob",
    "JsonScalar",
    "NotInTransaction",
    "QueueStats",
    "Registered",
    "Retry",
    "Wake",
    "enqueue",
    "enqueue_in",
    "enqueue_many",
    "enqueue_sql",
    "held",
    "prune_log",
    "requeue",
    "run_worker",
    "stats",
    "wake",
]
