"""Jobs run in the simulated world: what they send goes over real sockets."""

from pathlib import Path

import pytest

from app.settings import Settings
from app.simulators.world import World


@pytest.fixture
def app_settings(world: World, database_url: str, tmp_path: Path) -> Settings:
    settings = {"database_url": database_url, "data_dir": tmp_path, "worker": False, **world.settings}
    settings["google_requests_per_second"] = 1000  # the clock stands still: turns would only add up
    return Settings.model_validate(settings)
