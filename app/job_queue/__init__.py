"""The work engine's port: a job is a row in the transaction that caused it, run after the commit.

PgQueuer stands behind it on both databases. Nothing outside this package imports PgQueuer.
"""

from app.job_queue.enqueue import JsonScalar, NotInTransaction, enqueue, enqueue_many
from app.job_queue.held import HeldJob, QueueStats, held, prune_log, requeue, stats
from app.job_queue.retry import Retry
from app.job_queue.worker import CronFunction, Handler, Wake, Worker, run_worker

__all__ = [
    "CronFunction",
    "Handler",
    "HeldJob",
    "JsonScalar",
    "NotInTransaction",
    "QueueStats",
    "Retry",
    "Wake",
    "Worker",
    "enqueue",
    "enqueue_many",
    "held",
    "prune_log",
    "requeue",
    "run_worker",
    "stats",
]
