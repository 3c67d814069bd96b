"""Every Prometheus series of Holdfast, in one table.

With `PROMETHEUS_MULTIPROC_DIR` set before this module is first imported, every process writes its
values to that directory and `render` answers the sum over all of them; otherwise it answers for
this process alone. No label carries a SKU or an id: the number of series is bounded by the code and
the settings, and a public page tells aggregates only.

Names follow the field's convention: base units, `_total` for what only grows, `_seconds`, `_bytes`.
"""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from reservation.tally import TalliedHistogram, Tally

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
DIRECTORY_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"

# A request spends 1 to 20 ms on a healthy machine; 5 s is the deadline after which it gets 503.
_REQUEST_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
# A script call is budgeted 2 ms, 5 ms for one very large order, plus a sync of the disk.
_CALL_SECONDS: Final = (0.00025, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5)
_BATCH: Final = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000)

# A second series for each, which nobody reads.
disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY: Final = CollectorRegistry()

# For what happens at every request; who renders the series lets it write first.
TALLY: Final = Tally()

# The HTTP face. `route` is the path's template, "unknown" where none fits.
HTTP_REQUESTS: Final = Counter(
    "holdfast_http_requests_total",
    "Requests answered, by route template, method and status.",
    ("route", "method", "status"),
    registry=REGISTRY,
)
HTTP_REQUEST_SECONDS: Final = TalliedHistogram(
    "holdfast_http_request_duration_seconds",
    "From the first byte of the request's head to the last of the answer.",
    ("route", "method"),
    buckets=_REQUEST_SECONDS,
    registry=REGISTRY,
)
HTTP_REQUESTS_IN_FLIGHT: Final = Gauge(
    "holdfast_http_requests_in_flight",
    "Requests being worked on.",
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
HTTP_HANG_UPS: Final = Counter(
    "holdfast_http_hang_ups_total",
    "Requests whose client left before the body was complete.",
    registry=REGISTRY,
)
REFUSALS: Final = Counter(
    "holdfast_refusals_total",
    "Problems answered, by slug; those inside a batch count as well.",
    ("slug",),
    registry=REGISTRY,
)
OPERATIONS: Final = Counter(
    "holdfast_operations_total",
    "Operations judged by the engine, by verb and outcome (a name of reservation.status).",
    ("verb", "outcome"),
    registry=REGISTRY,
)
KEY_REFRESH_FAILURES: Final = Counter(
    "holdfast_key_refresh_failures_total",
    "Times the API keys could not be read from the store.",
    registry=REGISTRY,
)

# The path to the store. `verb` is a script's name, `result` is "answered", "failed" (certainly
# not executed) or "unknown" (it may have taken effect).
STORE_CALLS: Final = Counter(
    "holdfast_store_calls_total",
    "Script calls sent to the store.",
    ("verb", "result"),
    registry=REGISTRY,
)
STORE_CALL_SECONDS: Final = Histogram(
    "holdfast_store_call_duration_seconds",
    "Round trip of one script call, waiting for replicas included.",
    ("verb",),
    buckets=_CALL_SECONDS,
    registry=REGISTRY,
)
STORE_CALL_OPERATIONS: Final = Histogram(
    "holdfast_store_call_operations",
    "Operations that one script call carried.",
    ("verb",),
    buckets=_BATCH,
    registry=REGISTRY,
)
QUEUED_LINES: Final = Gauge(
    "holdfast_queued_lines",
    "Lines that wait in the coalescer for their call.",
    ("verb",),
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
OVERLOADED: Final = Counter(
    "holdfast_overloaded_total",
    "Operations refused because a bounded queue or the event log was full.",
    ("verb",),
    registry=REGISTRY,
)
ANSWERS_UNTOLD: Final = Counter(
    "holdfast_answers_untold_total",
    "Answers that whoever asked could not be told, by a fault on our side.",
    registry=REGISTRY,
)
MORE_REPEATS: Final = Counter(
    "holdfast_store_more_repeats_total",
    "Calls sent again because overdue holds had to be reclaimed first.",
    registry=REGISTRY,
)
SCRIPT_RELOADS: Final = Counter(
    "holdfast_store_script_reloads_total",
    "Times the store had lost its scripts and they were loaded again.",
    registry=REGISTRY,
)
STORE_RECONNECTS: Final = Counter(
    "holdfast_store_connection_failures_total",
    "Connections to the store that failed or could not be made.",
    registry=REGISTRY,
)
RECLAIMED_HOLDS: Final = Counter(
    "holdfast_reclaimed_holds_total",
    "Holds expired by the sweeper.",
    registry=REGISTRY,
)
RETIRED_RECEIPTS: Final = Counter(
    "holdfast_retired_receipts_total",
    "Receipts of ended reservations and adjustments cleared by the sweeper.",
    registry=REGISTRY,
)
EVENT_LOG_BYTES: Final = Gauge(
    "holdfast_event_log_bytes",
    "Size of the event log in the store, as last seen.",
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
STORE_MEMORY_BYTES: Final = Gauge(
    "holdfast_store_memory_bytes",
    "Memory that the store's data takes, as the store tells it (used_memory).",
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
EXPIRY_LAG_SECONDS: Final = Gauge(
    "holdfast_expiry_lag_seconds",
    "For how long the oldest hold that is still to be expired has been overdue.",
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
ARCHIVED_ENTRIES: Final = Counter(
    "holdfast_archived_entries_total",
    "Entries of the event log copied into the archive.",
    registry=REGISTRY,
)
FEED_LAG_SECONDS: Final = Gauge(
    "holdfast_feed_lag_seconds",
    "How far what a feed has seen lies behind the store's time; 0 where it has seen it all.",
    ("feed",),
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
HEALTH_CROSSINGS: Final = Counter(
    "holdfast_health_crossings_total",
    "Levels whose status has changed between healthy and at risk.",
    registry=REGISTRY,
)
LEVELS_AT_RISK: Final = Gauge(
    "holdfast_levels_at_risk",
    "Levels whose unshipped ratio is too high, as last judged.",
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
SUSPENDED_SKUS: Final = Gauge(
    "holdfast_suspended_skus",
    "SKUs that no channel can order because their breaker is open, as last counted.",
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
CHANNEL_MESSAGES: Final = Counter(
    "holdfast_channel_messages_total",
    "Messages pushed by platforms, by channel and outcome: kept, put_off (to be sent again), or why"
    " they were refused: forged, stale, malformed or misdirected (to another shop).",
    ("channel", "outcome"),
    registry=REGISTRY,
)
CHANNEL_FAULTS: Final = Counter(
    "holdfast_channel_faults_total",
    "Calls that a platform did not do, by channel and whether they are made again.",
    ("channel", "again"),
    registry=REGISTRY,
)
CHANNEL_BUGS: Final = Counter(
    "holdfast_channel_bugs_total",
    "Bugs that a channel's work met, by channel (empty: work for all of them); the log has each.",
    ("channel",),
    registry=REGISTRY,
)
CHANNEL_ASKED: Final = Gauge(
    "holdfast_channel_asked_timestamp_seconds",
    "When (unix time) a channel's platform was last asked with success for what has changed (job"
    " sweep: all until then is known), or for the messages that wait there (job fetch).",
    ("channel", "job"),
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
CHANNEL_OFFERS: Final = Gauge(
    "holdfast_channel_offers",
    "What a channel is still to be told of SKUs, by channel and state: waiting, dead (refused for"
    " good: a person has to look), or not_closed (of a SKU that it must not sell: it may).",
    ("channel", "state"),
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
CHANNEL_TOLD: Final = Counter(
    "holdfast_channel_told_total",
    "What was told to a channel, by outcome: told (acknowledged), put_off (told again), dead.",
    ("channel", "outcome"),
    registry=REGISTRY,
)
CHANNEL_CLOSING_SECONDS: Final = Histogram(
    "holdfast_channel_closing_seconds",
    "From noticing that a SKU is to be closed to a channel's acknowledgement of it.",
    ("channel",),
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 60, 600),
    registry=REGISTRY,
)
CHANNEL_UNFIT: Final = Gauge(
    "holdfast_channel_orders_unfit",
    "Orders that are not where their platform says they are, by channel and state: waiting (tried"
    " again), or stuck (a person has to look).",
    ("channel", "state"),
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
CHANNEL_PARCELS: Final = Gauge(
    "holdfast_channel_parcels",
    "Parcels that a channel is still to be told of, by channel and state: waiting, or dead (refused"
    " for good: a person has to look).",
    ("channel", "state"),
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
CHANNEL_PARCELS_TOLD: Final = Counter(
    "holdfast_channel_parcels_told_total",
    "Parcels that a channel was told of, by outcome: told (acknowledged), put_off (told again),"
    " not_told (there is nothing to tell), dead.",
    ("channel", "outcome"),
    registry=REGISTRY,
)
CHANNEL_ANOMALIES: Final = Counter(
    "holdfast_channel_anomalies_total",
    "Looks at orders that cannot be where their platform says they are, by channel and kind.",
    ("channel", "kind"),
    registry=REGISTRY,
)
WAREHOUSE_REPORTS: Final = Counter(
    "holdfast_warehouse_reports_total",
    "Reports pushed by warehouses, by warehouse and outcome: kept, put_off (to be sent again),"
    " unread (a word of it is in no table: for people), or why they were refused: forged, stale,"
    " malformed or misdirected (to another account).",
    ("warehouse", "outcome"),
    registry=REGISTRY,
)
WAREHOUSE_APPLIED: Final = Counter(
    "holdfast_warehouse_applied_total",
    "What became of kept reports, by outcome: done, put_off (tried again), or dead (for people).",
    ("warehouse", "outcome"),
    registry=REGISTRY,
)
WAREHOUSE_REPORTS_OPEN: Final = Gauge(
    "holdfast_warehouse_reports_open",
    "Kept reports by warehouse and state: waiting, dead (not applied: a person has to look), or"
    " anomaly (applied, and a person has to look).",
    ("warehouse", "state"),
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
WAREHOUSE_SHORTFALLS: Final = Gauge(
    "holdfast_warehouse_shortfalls",
    "SKUs of which a warehouse has less than is promised, or had less than has gone.",
    ("warehouse",),
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
WAREHOUSE_SHORT_SKUS: Final = Gauge(
    "holdfast_warehouse_short_skus",
    "SKUs that are short as reports say, the comparison, or both, and nobody has dismissed.",
    ("warehouse",),
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
WAREHOUSE_BUGS: Final = Counter(
    "holdfast_warehouse_bugs_total",
    "Bugs that a warehouse's work met, by warehouse (empty: work for all); the log has each.",
    ("warehouse",),
    registry=REGISTRY,
)
WAREHOUSE_ORDERS: Final = Gauge(
    "holdfast_warehouse_orders",
    "Orders in the outbox of a warehouse, by state and lane, as last counted.",
    ("warehouse", "state", "lane"),
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
WAREHOUSE_OLDEST_SECONDS: Final = Gauge(
    "holdfast_warehouse_oldest_seconds",
    "For how long the oldest order in a state has waited since it was paid.",
    ("warehouse", "state", "lane"),
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
WAREHOUSE_HANDED: Final = Counter(
    "holdfast_warehouse_handed_total",
    "What a warehouse said of orders, by outcome: accepted, rejected, cancelled (in time), or"
    " too_late to be kept back.",
    ("warehouse", "outcome"),
    registry=REGISTRY,
)
WAREHOUSE_ANSWERS: Final = Counter(
    "holdfast_warehouse_answers_total",
    "Calls to a warehouse, by answer: taken, too_many, fault or timed_out.",
    ("warehouse", "answer"),
    registry=REGISTRY,
)
WAREHOUSE_PACE: Final = Gauge(
    "holdfast_warehouse_pace",
    "The part of a warehouse's capacity at which it is fed now: 1 is all of it.",
    ("warehouse",),
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
WAREHOUSE_BREAKER: Final = Gauge(
    "holdfast_warehouse_breaker",
    "Whether a warehouse that does not answer is left alone: 1 is open, 0.5 tries, 0 is closed.",
    ("warehouse",),
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
WAREHOUSE_ANOMALIES: Final = Gauge(
    "holdfast_warehouse_anomalies",
    "Orders of a warehouse that a person has to look into: it refused them, or worse.",
    ("warehouse",),
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
WAREHOUSE_FIRST_BREACH: Final = Gauge(
    "holdfast_warehouse_first_breach_seconds",
    "In how long the first order of those that wait or are expected will have waited 8 hours; +Inf"
    " where none will. Foreseen once a minute.",
    ("warehouse",),
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
WAREHOUSE_LOCKS: Final = Gauge(
    "holdfast_warehouse_locks",
    "Locks at a warehouse of orders that wait for it, by state: wanted, asked, locked, expired,"
    " refused, or ending; as last counted.",
    ("warehouse", "state"),
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
WAREHOUSE_LOCKS_TOLD: Final = Counter(
    "holdfast_warehouse_locks_told_total",
    "What became of locks at a warehouse, by outcome: taken, renewed, refused, expired (it could"
    " not be renewed), unlocked, unknown, untaken, or unsupported (the warehouse has none).",
    ("warehouse", "outcome"),
    registry=REGISTRY,
)
WAREHOUSE_DRIFT_UNITS: Final = Gauge(
    "holdfast_warehouse_drift_units",
    "Units by which a warehouse certainly differs from our levels: missing, surplus, or foreign"
    " (bound there to orders that are not ours).",
    ("warehouse", "direction"),
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
WAREHOUSE_FINDINGS: Final = Gauge(
    "holdfast_warehouse_findings",
    "Drifts and shortfalls, in SKUs, that the comparison has found and nobody has dismissed.",
    ("warehouse", "kind"),
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
WAREHOUSE_SHORT_UNITS: Final = Gauge(
    "holdfast_warehouse_short_units",
    "Units that are promised to orders and are not in the warehouse.",
    ("warehouse",),
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
WAREHOUSE_SKUS_CHECKED: Final = Counter(
    "holdfast_warehouse_skus_checked_total",
    "SKUs whose level was compared with the warehouse's, by verdict: agrees, differs, moved"
    " (ours changed meanwhile: it is looked at again), or refused (it cannot be asked for).",
    ("warehouse", "verdict"),
    registry=REGISTRY,
)
WAREHOUSE_PASS_AGE_SECONDS: Final = Gauge(
    "holdfast_warehouse_pass_age_seconds",
    "For how long not all SKUs of a warehouse have been compared: since the last whole pass.",
    ("warehouse",),
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
ALERT_SENDINGS: Final = Counter(
    "holdfast_alert_sendings_total",
    "Messages sent to receivers of alerts, by kind and result: delivered, put_off, refused or"
    " given_up.",
    ("kind", "result"),
    registry=REGISTRY,
)
ALERTS_WAITING: Final = Gauge(
    "holdfast_alerts_waiting",
    "Alerts that their receivers have not been told yet.",
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
ALERT_DEAD_LETTERS: Final = Gauge(
    "holdfast_alert_dead_letters",
    "Messages with alerts that were given up and wait for a person.",
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
BUILD: Final = Gauge(
    "holdfast_build_info",
    "Always 1; the label names the running version.",
    ("version",),
    multiprocess_mode="max",
    registry=REGISTRY,
)


def render() -> bytes:
    """Answer all series in Prometheus' text format, summed over the processes of one supervisor."""
    BUILD.labels(version=_version()).set(1)
    directory = os.environ.get(DIRECTORY_VARIABLE)
    if not directory:
        return generate_latest(REGISTRY)
    summed = CollectorRegistry()
    MultiProcessCollector(summed, path=directory)  # type: ignore[no-untyped-call]
    return generate_latest(summed)


def totals() -> list[Metric]:
    """Collect all series, summed as `render` does, for who computes with them."""
    directory = os.environ.get(DIRECTORY_VARIABLE)
    if not directory:
        return list(REGISTRY.collect())
    summed = CollectorRegistry()
    MultiProcessCollector(summed, path=directory)  # type: ignore[no-untyped-call]
    return list(summed.collect())


def forget_process(process_id: int) -> None:
    """Drop the gauges of a process that has ended; its counters stay in the sums.

    For the supervisor, which must set the directory in its own environment as well.
    """
    if os.environ.get(DIRECTORY_VARIABLE):
        mark_process_dead(process_id)  # type: ignore[no-untyped-call]


def _version() -> str:
    try:
        return version("holdfast")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "unreleased"
