"""Every table, in one import: what Alembic compares the database with, and what the processes map."""

from app import answer_times, rate_limits
from app.campaigns import models as campaigns
from app.db import Base
from app.deals import models as deals
from app.enrolment import models as enrolment
from app.inbox import models as inbox
from app.members import models as members
from app.passes import models as passes
from app.points import models as points
from app.staff import models as staff
from app.webhooks import models as webhooks

__all__ = [
    "Base",
    "answer_times",
    "campaigns",
    "deals",
    "enrolment",
    "inbox",
    "members",
    "passes",
    "points",
    "rate_limits",
    "staff",
    "webhooks",
]
