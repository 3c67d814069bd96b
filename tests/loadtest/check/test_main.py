"""`python -m loadtest.check`: what it prints, what it exits with, and several files of a run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from loadtest.check.judge import judge
from loadtest.check.rules import Rule
from loadtest.history import Call, HistoryUnreadable, Record
from tests.loadtest.check.story import RUN, STEP_US, change, judged, true_story, write


def _check(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "loadtest.check", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _parts(tmp_path: Path, records: list[Record], **runs: Any) -> list[Path]:
    """Write a history in two files, each record into the next."""
    return [
        write(tmp_path / f"{n}.ndjson", records[n::2], run=replace(RUN, worker=str(n), **runs))
        for n in (0, 1)
    ]


def test_a_clean_history(tmp_path: Path):
    """A true history in two files, one of them gzip, exits 0 and says what was judged."""
    first, _ = _parts(tmp_path, list(true_story().values()))
    second = write(tmp_path / "second.ndjson.gz", list(true_story().values())[1::2])
    ended = _check(first, second)
    assert ended.returncode == 0, ended.stderr
    assert "Every rule holds." in ended.stdout
    assert ended.stderr == ""


def test_a_violation(tmp_path: Path):
    """A lie exits 1; the record that shows it is named with file and line."""
    story = true_story()
    change("balance TEA", held=5, available=0)(story)
    path = write(tmp_path / "history.ndjson", list(story.values()))
    ended = _check(path)
    assert ended.returncode == 1
    assert "TEA@main: held is told as 5, the recount says 4" in ended.stdout
    line = list(story).index("balance TEA") + 2  # after the run, from 1
    assert f"{path}:{line} " in ended.stdout.replace("\n", "")


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_a_history_of_nothing(tmp_path: Path, arguments: tuple[str, ...]):
    """A whole history in which there is nothing to judge proves nothing: it exits 1."""
    ended = _check(write(tmp_path / "history.ndjson", []), *arguments)
    assert ended.returncode == 1
    assert "nothing in it can be judged: it proves nothing" in ended.stdout
    assert "Every rule holds." not in ended.stdout
    assert '"ok": true' not in ended.stdout


def test_as_json(tmp_path: Path):
    """`--json` tells every rule's verdict, the findings and their evidence."""
    story = true_story()
    change("read held", state="missing", lines=())(story)
    path = write(tmp_path / "history.ndjson", list(story.values()))
    ended = _check(path, "--json")
    told = json.loads(ended.stdout)
    assert (ended.returncode, told["ok"]) == (1, False)
    assert told["rules"]["findable"] == {"verdict": "violated", "judged": 7, "violations": 1}
    assert told["rules"]["one-effect"] == {"verdict": "holds", "judged": 10, "violations": 0}
    finding = told["findings"][0]
    assert (finding["rule"], finding["text"]) == (
        "findable",
        "tmall:held: acknowledged, and missing at the end",
    )
    assert finding["evidence"][0].startswith(f"{path}:")
    assert told["counts"]["calls"] == sum(isinstance(call, Call) for call in story.values())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        ("{}\n", "missing required field `type`"),
        ("", "it is empty"),
        ("\x1f\x8bnonsense", "history.ndjson"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, content: str | None, reason: str):
    """No history at all exits 2 with the reason, and no traceback."""
    path = tmp_path / "history.ndjson"
    if content is not None:
        path.write_bytes(content.encode("latin-1"))
    ended = _check(path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert reason in ended.stderr.replace("\n", " ")
    assert "Traceback" not in ended.stderr


def test_files_of_two_runs_are_refused(tmp_path: Path):
    """Files merge only where they are of the same run."""
    records = list(true_story().values())
    one = write(tmp_path / "one", records)
    other = write(tmp_path / "other", records, run=replace(RUN, started_at="2027-01-16T08:00:00Z"))
    with pytest.raises(HistoryUnreadable, match="another run"):
        judge([one, other])
    with pytest.raises(HistoryUnreadable, match="named twice"):
        judge([one, tmp_path / ".." / tmp_path.name / "one"])


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        ({"seed": 1}, {"seed": 2}, "another seed"),
        ({"files": 1}, {"files": 2}, "another number of files"),
        ({"late_us": 1}, {"late_us": 2}, "other clocks"),
    ],
)
def test_files_that_contradict_each_other_are_refused(
    tmp_path: Path, one: dict[str, int], other: dict[str, int], reason: str
):
    """The heads of one run's files say the same of the run."""
    records = list(true_story().values())
    paths = [
        write(tmp_path / str(n), records[n::2], run=replace(RUN, **head))
        for n, head in enumerate((one, other))
    ]
    with pytest.raises(HistoryUnreadable, match=reason):
        judge(paths)


def test_one_file_more_than_there_are(tmp_path: Path):
    """Where each says that there is one, two are no whole history."""
    assert judge(_parts(tmp_path, list(true_story().values()), files=2)).ok
    (tmp_path / "more").mkdir()
    report = judge(_parts(tmp_path / "more", list(true_story().values()), files=1))
    assert report.violations == {Rule.COMPLETE: 1}


def test_a_lie_between_two_files(tmp_path: Path):
    """What no file shows alone is found in both together."""
    story = true_story()
    known = story["reserve shipped"]
    later = {"start": known.start + STEP_US // 2, "end": known.end + STEP_US // 2}
    again = replace(known, **later)  # type: ignore[type-var]
    one = write(tmp_path / "one", list(story.values()))
    assert judge([one]).ok
    two = write(tmp_path / "two", [again])
    report = judge([one, two])
    assert report.findings[0].text == "tmall:shipped: granted as new 2 times"
    assert {record.split(":")[0] for record in report.findings[0].evidence} == {str(one), str(two)}


def test_the_clients_clocks_are_believed_to_their_error(tmp_path: Path):
    """A confirm 20 ms after the release is an offence, unless the clocks may differ by as much."""
    story = true_story()
    known = story["release released"]
    later = {"start": known.start + STEP_US // 2, "end": known.end + STEP_US // 2}
    story["late"] = replace(known, op="confirm", state="confirmed", **later)  # type: ignore[type-var]
    (tmp_path / "near").mkdir()
    (tmp_path / "far").mkdir()
    apart = judged(tmp_path / "near", list(story.values()), run=replace(RUN, clock_error_us=8_000))
    assert "one-effect" in apart.violations
    far = judged(tmp_path / "far", list(story.values()), run=replace(RUN, clock_error_us=60_000))
    assert "one-effect" not in far.violations


def test_the_service_clock_is_believed_to_its_error(tmp_path: Path):
    """An expiry 15 ms early is an offence, unless the service's clock may be off by as much."""
    story = true_story()
    known = story["confirm expired"]
    early = story["reserve expired"].expires_at_us - 15_000
    story["confirm expired"] = replace(known, start=early - 1_000, end=early)
    path = write(tmp_path / "history", list(story.values()))
    assert "one-effect" in judge([path]).violations
    assert "one-effect" not in judge([path], clock_error_us=20_000).violations
