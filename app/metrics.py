"""What Prometheus may know of a process. What needs the database is read when it asks: `web/health.py`."""

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter("passbell_requests_total", "Answered requests", ["method", "route", "status"])
REQUEST_SECONDS = Histogram(
    "passbell_request_seconds",
    "Time to answer",
    ["route"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
PUSHES = Counter("passbell_pushes_total", "Pushes by what the push service answered", ["service", "outcome"])
MESSAGES = Counter(
    "passbell_messages_total", "SMS and e-mails by what became of them", ["channel", "outcome"]
)
PUSH_STOPPED = Gauge(
    "passbell_push_stopped", "1 while pushes pause because our credentials were refused", ["service"]
)
GOOGLE_CALLBACKS = Counter(
    "passbell_google_callbacks_total", "Google's callbacks by what they said, or why not", ["event"]
)
GOOGLE_UNANNOUNCED = Gauge(
    "passbell_google_unannounced", "Passes held by Google's word whose save no callback announced"
)
GOOGLE_REFUSED = Gauge("passbell_google_refused", "Passes whose newest version Google does not take")
DATABASE_UP = Gauge("passbell_database_up", "1 when the database answered this reading")
JOBS = Gauge("passbell_jobs", "Jobs in the queue", ["kind", "state"])
PASSES_BEHIND = Gauge("passbell_passes_behind", "Passes whose wallet is owed a newer version")
OLDEST_OWED_SECONDS = Gauge("passbell_oldest_owed_seconds", "How long the oldest of them has waited")
CERTIFICATE_DAYS = Gauge(
    "passbell_certificate_days_left", "Days until a certificate expires", ["certificate"]
)
LEDGER_MISMATCHES = Gauge("passbell_ledger_mismatches", "Rows the last reconciliation found wrong")
