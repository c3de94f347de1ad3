"""What PgQueuer's runtime is given to stand on, whichever the database."""

from dataclasses import dataclass

from pgqueuer.ports import RepositoryPort


@dataclass(frozen=True)
class Queue:
    """An open queue: where the runtime keeps its jobs, and how often it looks when nobody wakes it."""

    queries: RepositoryPort
    poll_seconds: float
