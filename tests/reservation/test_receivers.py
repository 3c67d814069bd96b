"""Who is alerted is configured, and what is wrong with it is said before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from reservation.config import load
from reservation.errors import ConfigurationError
from reservation.receivers import AlertType, Language, ReceiverKind

WECOM = 'kind = "wecom"\nurl = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=secret-key"\n'
DINGTALK = 'kind = "dingtalk"\nurl = "https://oapi.dingtalk.com/robot/send?access_token=1"\n'
WEBHOOK = 'kind = "webhook"\nurl = "http://console.internal/hooks"\n'


def written(tmp_path: Path, table: str, name: str = "ops") -> Path:
    path = tmp_path / "holdfast.toml"
    path.write_text(f"[alerts.{name}]\n{table}")
    return path


def test_a_receiver_needs_little(tmp_path: Path) -> None:
    """Kind and address do: everything is told in Chinese, at what a robot takes."""
    receiver = load(written(tmp_path, WECOM)).alerts["ops"]
    assert receiver.kind is ReceiverKind.WECOM
    assert receiver.events == frozenset(AlertType)
    assert (receiver.language, receiver.per_minute) == (Language.ZH, 20)


def test_its_secrets_are_not_shown(tmp_path: Path) -> None:
    """Neither the address, which holds a robot's key, nor the secret stands in a repr."""
    settings = load(written(tmp_path, DINGTALK + 'secret = "SECret"\n'))
    assert "access_token" not in repr(settings)
    assert "SECret" not in repr(settings)


def test_the_environment_gives_receivers_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same names as in the file."""
    monkeypatch.setenv(
        "HOLDFAST_ALERTS",
        '{"ops": {"kind": "wecom", "url": "https://x/y", "events": ["breaker.opened"]}}',
    )
    assert load().alerts["ops"].events == {AlertType.SUSPENDED}
    monkeypatch.setenv("HOLDFAST_ALERTS", '{"ops": {"kind": "wecom"}}')
    with pytest.raises(ConfigurationError, match=r"^HOLDFAST_ALERTS: ops: url: Field required$"):
        load()
    monkeypatch.setenv("HOLDFAST_ALERTS", '{"ops"')
    with pytest.raises(ConfigurationError, match=r"^HOLDFAST_ALERTS: must be JSON$"):
        load()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('kind = "slack"\nurl = "https://x"\n', "alerts.ops.kind .*'wecom', 'dingtalk' or"),
        ('kind = "wecom"\n', "alerts.ops.url .*Field required"),
        (WECOM.replace("https", "http"), "alerts.ops .*carries the robot's key"),
        (WECOM.replace("https://", "ftp://"), "alerts.ops .*must be https"),
        (WECOM.replace("https://qyapi", "https://[qyapi"), "alerts.ops .*must be https"),
        (WECOM + 'secret = "x"\n', "a wecom robot has none"),
        (WECOM + "per_minute = 21\n", "20 messages a minute at the most"),
        (WECOM + "per_minute = 1\n", "alerts.ops.per_minute .*greater than or equal to 2"),
        (WECOM + 'events = ["breaker.open"]\n', "alerts.ops.events"),
        (WECOM + "events = []\n", "alerts.ops.events .*at least 1 item"),
        (WECOM + 'sekret = "x"\n', r"alerts.ops.sekret .*is no setting; is secret meant\?"),
        (DINGTALK, "secret is missing"),
        (WEBHOOK, "secret must be whsec_"),
        (WEBHOOK + 'secret = "whsec_c2hvcnQ="\n', "24 to 64 bytes"),
        (WEBHOOK + 'secret = "whsec_!"\n', "secret must be whsec_"),
    ],
)
def test_what_is_wrong_is_named(table: str, said: str, tmp_path: Path) -> None:
    """The error names the key of the file and what it must be, and no secret."""
    with pytest.raises(ConfigurationError, match=said) as told:
        load(written(tmp_path, table))
    assert "secret-key" not in str(told.value)


def test_a_name_has_a_form(tmp_path: Path) -> None:
    """It stands in commands and metrics: lower case, no blanks."""
    with pytest.raises(ConfigurationError, match="'Ops Group' is not a name"):
        load(written(tmp_path, WECOM, name='"Ops Group"'))


@pytest.mark.parametrize("url", ["board.example.com", "https://x/ y", "https://x/?a=1", "ftp://x"])
def test_a_public_url_has_a_form(url: str) -> None:
    """A link that is made of it must work."""
    with pytest.raises(ConfigurationError, match="public"):
        load(public_url=url)
