"""What every flow needs: the world outside on sockets, and settings that point the program at it."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.simulators.world import World, simulated_world
from tests.flows.town import town

__all__ = ["town"]  # every story's fixture

APNS_SECONDS = (0.02, 0.05)  # what Apple takes to answer


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with simulated_world(tmp_path / "world", latency_seconds=APNS_SECONDS) as world:
        yield world


@pytest.fixture
def settings(world: World, database_url: str) -> dict[str, Any]:
    """Settings of the program on this test's database, in this test's world."""
    return world.settings | {"database_url": database_url, "secret_key": secrets.token_hex(32)}
