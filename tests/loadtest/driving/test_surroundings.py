"""What a run needs of the service beside its orders."""

from __future__ import annotations

from loadtest.driving.surroundings import MAX_ROWS_PER_IMPORT, _import_files, service_of
from loadtest.figures import ServiceSample
from reservation import metrics


def test_the_services_figures_are_found_in_its_metrics() -> None:
    """In the very text that the service answers; of a series with labels the largest."""
    metrics.STORE_MEMORY_BYTES.set(123_456_789)
    metrics.FEED_LAG_SECONDS.labels(feed="one").set(0.25)
    metrics.FEED_LAG_SECONDS.labels(feed="other").set(1.5)
    told = service_of(metrics.render().decode(), 7)
    assert told.second == 7
    assert told.store_bytes == 123_456_789
    assert told.event_log_bytes is not None
    assert told.feed_lag_seconds == 1.5


def test_a_service_that_tells_less_leaves_gaps() -> None:
    """An older one, or a proxy's page: nothing is made up."""
    assert service_of("<html>no</html>", 3) == ServiceSample(3)


def test_stock_is_laid_under_the_runs_names() -> None:
    """With a safety stock of nothing, in files that the service takes."""
    ((rows, file),) = _import_files("lt1", {"22196": 5, "猫": 7})
    assert rows == [("lt1-22196", 5), ("lt1-猫", 7)]
    text = "sku,warehouse,on_hand,safety_stock\nlt1-22196,,5,0\nlt1-猫,,7,0\n"
    assert file.decode() == text
    many = {str(number): 1 for number in range(MAX_ROWS_PER_IMPORT + 1)}
    assert [len(some) for some, _ in _import_files("lt1", many)] == [MAX_ROWS_PER_IMPORT, 1]
