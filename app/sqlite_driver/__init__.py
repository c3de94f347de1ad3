"""An embedded SQLite for SQLAlchemy's asyncio that commits in groups.

Statements run at once on the event loop's own thread: one by its key takes ten microseconds, handing it to
another thread costs more. What waits for the disk, the COMMIT, runs in a thread, and the transactions that
come meanwhile share the next one. So one process does thousands of durable transactions a second where a
thread and a disk write per transaction do hundreds.
"""

from app.sqlite_driver.dialect import create_read_engine, create_write_engine
from app.sqlite_driver.turns import Turn

__all__ = ["Turn", "create_read_engine", "create_write_engine"]
