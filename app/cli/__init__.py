"""`passbell`: everything an operator does, over the same functions as the API."""

import gc

# What is loaded here stays for good, and the collector would look through all of it again and again: a
# seventh of the time to start. `root` and the processes that stay switch it on.
gc.disable()

from app.cli.root import main  # noqa: E402  after the line that makes it quick

__all__ = ["main"]
