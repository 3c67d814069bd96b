"""A rule broken in a script turns the state machine red: what it says it covers, it covers.

`make chaos ARGS=tests/reservation/test_mutation.py`. A mutation whose text is gone from its script
fails loudly and is written anew.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from reservation.store.scripts import LUA_DIRECTORY
from tests.reservation.bench import Bench
from tests.reservation.machine import machine_on
from tests.reservation.test_state_machine import NORMAL, ship_a_hundred_parts

# Without shrinking: that it fails is all we ask.
HUNT = settings(NORMAL, max_examples=1_000, phases=(Phase.generate,), print_blob=False)

# What lets a script see breakers that does not.
USES = "-- Uses: _prelude.lua _quota.lua _overdue.lua"
CLOCK = "-- KEYS[10] clock hash: now (ms), version"
SEES_BREAKERS = (
    USES,
    f"{USES} _breaker.lua",
    CLOCK,
    f"-- KEYS[10] breaker hash: sku -> breaker\n{CLOCK.replace('10', '11')}",
)

# rule broken -> (script, text that stands there once, text in its place, and more such pairs)
MUTATIONS: dict[str, tuple[str, ...]] = {
    "a hold expires one millisecond late": (
        "_prelude.lua",
        "state == 'H' and created + expires <= now",
        "state == 'H' and created + expires < now",
    ),
    "a receipt is known one millisecond too long": (
        "_prelude.lua",
        "created + ended + retention_ms <= now",
        "created + ended + retention_ms < now",
    ),
    "an expired hold keeps its units": (
        "_overdue.lua",
        "  move_units(body, W.held, nil)\n",
        "  move_units(body, nil, nil)\n",
    ),
    "an expired hold ended when it was noticed": (
        "_overdue.lua",
        "pack_record('X', created, '', expires, body)",
        "pack_record('X', created, '', distance(created, now), body)",
    ),
    "a hold that was extended is never looked at again": (
        "_overdue.lua",
        "hint(id, created + expires, count_lines(body))",
        "",
    ),
    "overdue holds beyond the first four are ignored": (
        "_overdue.lua",
        "more = true",
        "more = false",
    ),
    "an ended quota counts for one millisecond more": (
        "_quota.lua",
        "now < tonumber(ends)",
        "now <= tonumber(ends)",
    ),
    "a floor stays kept when it is used": (
        "_quota.lua",
        "max(0, least - quota.units[name])",
        "least",
    ),
    "a channel takes what is kept for others": (
        "_quota.lua",
        "max(0, units_free - own - kept)",
        "max(0, units_free - own)",
    ),
    "a ceiling is for each order": (
        "_quota.lua",
        "math.min(available, ceiling - used)",
        "math.min(available, ceiling)",
    ),
    "what a shipped part had of a quota stays counted": (
        "fulfil.lua",
        "  if any_quota then Quota.take(level, id, -gone) end\n",
        "",
    ),
    "what is reinstated is not counted": (
        "confirm.lua",
        "  if any_quota and not held then Quota.count_record(ids[index], body, 1) end\n",
        "",
    ),
    "an order beyond a quota that is also short is a failed lock": (
        "reserve.lua",
        "return beyond or insufficient(",
        "return (is_short and insufficient or Quota.refusal)(",
    ),
    "a failure counts up to the window's end": (
        "_breaker.lua",
        "now - failure.at < window_ms",
        "now - failure.at <= window_ms",
    ),
    "repeats of an id count": (
        "_breaker.lua",
        "if failure.id == id then return false end",
        "",
    ),
    "a failure counts a tenth of a second longer": (
        "_breaker.lua",
        "now - failure.at < window_ms",
        "now - failure.at - 100 < window_ms",
    ),
    "a failure counts one millisecond less": (
        "_breaker.lua",
        "now - failure.at < window_ms",
        "now - failure.at + 1 < window_ms",
    ),
    "a repeat of an id refreshes its failure": (
        "_breaker.lua",
        "if failure.id == id then return false end",
        """if failure.id == id then
      failure.at, breaker.window = now, window
      change_breaker(nil, sku, breaker)
      return false
    end""",
    ),
    "a replay counts as a failure": (
        "reserve.lua",
        "      return { STATUS.REPLAYED,",
        """      local name = W.names[level_in[argv[last]]]
      Breaker.count_failure(sku_of(name), id, origins[index], '1 0 ' .. name)
      return { STATUS.REPLAYED,""",
    ),
    "a replay counts as a success": (
        "reserve.lua",
        "      return { STATUS.REPLAYED,",
        """      if any_breaker then count_successes(first, last, origins[index]) end
      return { STATUS.REPLAYED,""",
    ),
    "each warehouse has its breaker": (
        "reserve.lua",
        "open_call(ids, false)\n",
        "open_call(ids, false)\nlocal function sku_of(level) return level end\n",
    ),
    "a failure counts for each short warehouse": (
        "reserve.lua",
        "if Breaker.count_failure(sku, id, origin, lines[sku]) then",
        """local several = find(lines[sku], '\\t', 1, true)
    if several and Breaker.count_failure(sku, id .. '+', origin, lines[sku])
      or Breaker.count_failure(sku, id, origin, lines[sku]) then""",
    ),
    "the other lines of a suspended order count": (
        "reserve.lua",
        "if refusal then return refusal end",
        """if refusal then
    if is_short and not more then insufficient(id, origins[index], first, last) end
    return refusal
  end""",
    ),
    "a release lets an open breaker be tried": (
        "release.lua",
        *SEES_BREAKERS,
        "  tell(run_of(",
        """  for _, _, name in lines_of(lines_text(body)) do
    Breaker.read({ sku_of(name) })
    Breaker.note_restock(sku_of(name), '')
  end
  tell(run_of(""",
        "commit('held', 'committed')\n",
        "commit('held', 'committed')\nBreaker.commit()\n",
    ),
    "an expiry lets an open breaker be tried": (
        "expire.lua",
        *SEES_BREAKERS,
        "commit('held')\n",
        """for _, level in ipairs(W.touched) do
  Breaker.read({ sku_of(W.names[level]) })
  Breaker.note_restock(sku_of(W.names[level]), '')
end
commit('held')
Breaker.commit()
""",
    ),
    "any stock write lets an open breaker be tried": (
        "_stock.lua",
        "if available_of(sku) > before then",
        "if before then",
    ),
    "a reinstatement that finds no stock is a failed lock": (
        "confirm.lua",
        *SEES_BREAKERS,
        "  return short\n",
        """  Breaker.read({ sku_of(short[3]) })
  Breaker.count_failure(sku_of(short[3]), id, '', short[4] .. ' ' .. short[5] .. ' ' .. short[3])
  return short
""",
        "commit('held', 'committed')\n",
        "commit('held', 'committed')\nBreaker.commit()\n",
    ),
    "a reinstatement is a success": (
        "confirm.lua",
        *SEES_BREAKERS,
        "  tell(run,",
        """  for _, _, name in lines_of(run == 'GI' and body or '') do
    Breaker.read({ sku_of(name) })
    Breaker.count_success(sku_of(name), '')
  end
  tell(run,""",
        "commit('held', 'committed')\n",
        "commit('held', 'committed')\nBreaker.commit()\n",
    ),
    "a reset keeps the window": (
        "set_breaker.lua",
        "  Breaker.change(nil, sku, closed)\n",
        "  closed.window = breaker.window\n  Breaker.change(nil, sku, closed)\n",
    ),
    # An opening empties the window, so half-open and closing find none: only all three can tell.
    "the window is kept until the breaker has closed": (
        "_breaker.lua",
        "breaker.successes, breaker.window, breaker.by = 0, {}, ''",
        "breaker.successes, breaker.by = 0, ''",
        "breaker.successes, breaker.window = 0, {}",
        "breaker.successes = 0",
        "change_breaker('K', sku, closed, origin)",
        "closed.window = breaker.window\n  change_breaker('K', sku, closed, origin)",
    ),
    "it takes one failure more": (
        "_breaker.lua",
        "#window >= policy.threshold",
        "#window > policy.threshold",
    ),
    "a failure in half-open is one of three": (
        "_breaker.lua",
        "breaker.state == 'H' or #window",
        "#window",
    ),
    "the first success closes": ("_breaker.lua", "breaker.successes < 2", "breaker.successes < 1"),
    "the cool-down does not double": (
        "_breaker.lua",
        "math.min(2 * breaker.cool_down_ms",
        "math.min(breaker.cool_down_ms",
    ),
    "a cool-down lasts one millisecond longer": (
        "_breaker.lua",
        "breaker.retry_at <= now",
        "breaker.retry_at < now",
    ),
    "an equal sum half-opens": (
        "_stock.lua",
        "available_of(sku) > before",
        "available_of(sku) >= before",
    ),
    "a suspended SKU is sold": (
        "reserve.lua",
        "local refusal = any_breaker and suspended(first, last)",
        "local refusal = nil",
    ),
    "the last unit is not sold": (
        "reserve.lua",
        "elseif available < (units_of[argv[i]] or 1) then",
        "elseif available <= (units_of[argv[i]] or 1) then",
    ),
    "orders of one call do not see each other": (
        "reserve.lua",
        "free_of[level] = free_of[level] - quantity",
        "",
    ),
    "a paid order is held": (
        "reserve.lua",
        "shape.ttl == 0 and 'committed'",
        "shape.ttl == 0 and 'held'",
    ),
    "a refusal does not wait for what is overdue": (
        "reserve.lua",
        "if more then return nil end",
        "",
    ),
    "MORE keeps what was decided": ("reserve.lua", "W, any_breaker = kept, false", ""),
    "other lines are a replay": (
        "reserve.lua",
        "argv[i] ~= quantity .. ' ' .. name",
        "name_in(argv[i]) ~= name",
        "-- Say whether a record has the lines",
        "local function name_in(text) return match(text, ' (.+)$') end\n-- Has the lines",
    ),
    "a confirmation commits nothing": (
        "confirm.lua",
        "move_units(body, held, W.committed)",
        "move_units(body, held, nil)",
    ),
    "a confirmation still holds": (
        "confirm.lua",
        "move_units(body, held, W.committed)",
        "move_units(body, nil, W.committed)",
    ),
    "a reinstatement does not look for stock": (
        "confirm.lua",
        "if not short then return",
        "if true then return",
    ),
    "a release gives back what has left": (
        "_prelude.lua",
        "quantity - (fulfilled == '' and 0 or fulfilled)",
        "tonumber(quantity)",
    ),
    "releasing an expired one moves its end": (
        "release.lua",
        "confirmed, ended = '', second_of[index]",
        "confirmed, ended = '', distance(created, now)",
    ),
    "goods leave without being counted": (
        "fulfil.lua",
        "W.on_hand[level] = W.on_hand[level] - gone",
        "",
    ),
    "the last unit does not leave": (
        "fulfil.lua",
        "elseif left[name] < quantity then",
        "elseif left[name] <= quantity then",
    ),
    "a hundred and one parts": ("fulfil.lua", "parts >= max_parts", "parts > max_parts"),
    "a restock lets what a hand has tripped be tried": (
        "_breaker.lua",
        "if breaker and breaker.state == 'O' then half_open(sku, breaker, now, origin) end",
        "if is_suspended(breaker) then half_open(sku, breaker, now, origin) end",
    ),
    "a cool-down goes on under a hand": (
        "set_breaker.lua",
        "breaker.state, breaker.by, breaker.reason = 'M', by, reason",
        "breaker.state, breaker.by, breaker.reason = 'O', by, reason",
    ),
    "a reset forgets the policy": (
        "set_breaker.lua",
        "closed.policy_text = breaker.policy_text",
        "",
    ),
    "an exempt SKU is suspended all the same": (
        "_breaker.lua",
        "if policy.exempt then",
        "if policy == nil then",
    ),
    "a part repeated leaves twice": ("fulfil.lua", "if id == part then text = lines end", ""),
    "the longest hold is one millisecond shorter": (
        "extend.lua",
        "expires > created + max_hold_ms",
        "expires >= created + max_hold_ms",
    ),
    "an earlier deadline is not looked at": (
        "extend.lua",
        "hint(id, expires, count_lines(body))",
        "",
    ),
    "a stale count is written": (
        "set_stock.lua",
        "if ARGV[at + 4] ~= '' and tonumber(ARGV[at + 4]) ~= before then",
        "if false then",
    ),
    "a count forgets the safety stock": ("set_stock.lua", "or safety_before or 0", "or 0"),
    "an adjustment is known one millisecond too long": (
        "adjust_stock.lua",
        "+ retention_ms > now",
        "+ retention_ms >= now",
    ),
    "an adjustment ends below 0": (
        "adjust_stock.lua",
        "if delta < 0 and before + delta < 0 then",
        "if delta < 0 and before + delta < -1 then",
    ),
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Give one server for all mutations."""
    with Bench("auto", tmp_path_factory.mktemp("mutation")) as made:
        yield made


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """Give a copy of the scripts that may be broken."""
    return Path(shutil.copytree(LUA_DIRECTORY, tmp_path / "lua"))


def found(bench: Bench) -> bool:
    """Say whether the state machine or its one fixed story fails."""
    try:
        ship_a_hundred_parts(bench)
        run_state_machine_as_test(machine_on(bench), settings=HUNT)
    except Exception:  # noqa: BLE001 (however it fails, it has noticed)
        return True
    return False


def broken(rule: str, directory: Path) -> tuple[Path, str]:
    """Name the script that breaks a rule, and what it says then."""
    name, *texts = MUTATIONS[rule]
    script = directory / name
    text = script.read_text()
    for before, after in zip(texts[::2], texts[1::2], strict=True):
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    return script, text


@pytest.mark.parametrize("rule", MUTATIONS)
def test_a_rule_stands_where_it_is_broken(rule: str) -> None:
    """Its texts stand once in its script: else the long form would break nothing."""
    script, text = broken(rule, LUA_DIRECTORY)
    assert text != script.read_text()


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.parametrize("rule", MUTATIONS)
def test_a_broken_rule_is_found(rule: str, bench: Bench, scripts: Path) -> None:
    """Each of these, alone, turns the state machine red."""
    script, text = broken(rule, scripts)
    script.write_text(text)
    bench.use_scripts(scripts)
    assert found(bench)
