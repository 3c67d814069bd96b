"""Bodies that are nearly good ones: members replaced, taken out or doubled, bytes cut and put in.

The same ones each time: what fails once fails again.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator, Sequence
from typing import Any, Final

# What others have stumbled over; some of it is no JSON, and written all the same.
_VALUES: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 1, 1.5, 1e300, float("nan"), float("inf")),
    *(2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**18, 10**40),
    *("", "0", "1", " ", "1.0", "-1", "1e5", "NaN", "None", "١", "１", "9" * 40, "x" * 5_000),
    *("\0", "\ud800", "a\u2028b", "\ufeff", "é", "猫", "{", "[]", '{"id":1}'),
    *("2026-01-22 10:00:00", "2026-13-45T99:99:99Z", "0001-01-01T00:00:00Z", "15.70", "0.001"),
    *([], {}, [[]], [None], {"": None}, {"\ud800": 1}, [{}], {"id": {"id": []}}),
)
_FIXED: Final = (
    *(b"", b" ", b"null", b"true", b"0", b'""', b"[]", b"{}", b"[{}]", b"[null]", b"NaN"),
    *(b"\xff", b"\xef\xbb\xbf{}", b'{"a":1,"a":2}', b'{"\\ud800":1}', b"9" * 5_000),
    *(b"[" * 50_000, b'{"a":' * 20_000, b"<a/>", b"a=1&b=2", b"\0" * 64),
)
_MOST_PUT_IN: Final = 12  # bytes


def bodies(good: Sequence[bytes], examples: int, seed: int = 1) -> Iterator[bytes]:
    """Give so many bodies made from good ones."""
    dice = random.Random(seed)  # noqa: S311 (chance, no secret)
    yield from _FIXED[:examples]
    for number in range(examples - len(_FIXED)):
        body = dice.choice(good)
        yield _otherwise(body, dice) if number % 5 else _cut(body, dice)


def spoilt(page: bytes, first: str) -> Iterator[bytes]:
    """Give a page of two orders, the first by its id, with something else for the second one.

    Also with each member of it taken out. Only a page of JSON that lists them is given so.
    """
    try:
        content = json.loads(page)
    except ValueError:
        return
    for holder, key in _places(content):
        place = holder[key]
        if isinstance(place, list) and [first in str(one) for one in place] == [True, False]:
            whole = place[1]
            members = list(whole) if isinstance(whole, dict) else []
            less = [{name: whole[name] for name in members if name != gone} for gone in members]
            others: tuple[Any, ...] = (*less, None, 7, "x", [], {})
            for other in others:
                place[1] = other
                yield json.dumps(content).encode()
            place[1] = whole


def _otherwise(body: bytes, dice: random.Random) -> bytes:
    """Change one to three members of what a body says."""
    try:
        content = json.loads(body)
    except ValueError:
        return _cut(body, dice)
    for _ in range(dice.choice((1, 1, 2, 3))):
        content = _changed(content, dice)
    return json.dumps(content, ensure_ascii=dice.random() < 0.5).encode(errors="surrogatepass")


def _changed(content: Any, dice: random.Random) -> Any:
    """Change one member, wherever it stands, in a text of JSON inside as well."""
    places = _places(content)
    if not places or dice.random() < 0.02:
        return _value(dice)
    holder, key = dice.choice(places)
    act = dice.random()
    if act < 0.7:
        holder[key] = _instead(holder[key], dice)
    elif act < 0.85:
        del holder[key]
    elif isinstance(holder, dict):
        holder[dice.choice(("id", "", "\ud800", "data", str(key)[::-1]))] = holder[key]
    else:
        holder.insert(key, copy.deepcopy(holder[key]))
    return content


def _places(content: Any) -> list[tuple[Any, Any]]:
    """List every member: what holds it, and under which name or number."""
    if not isinstance(content, dict | list):
        return []
    keys = list(content) if isinstance(content, dict) else list(range(len(content)))
    found: list[tuple[Any, Any]] = [(content, key) for key in keys]
    for key in keys:
        found += _places(content[key])
    return found


def _instead(value: Any, dice: random.Random) -> Any:
    if isinstance(value, str) and value[:1] in {"{", "["} and dice.random() < 0.8:
        try:
            return json.dumps(_changed(json.loads(value), dice))
        except ValueError:
            pass
    if isinstance(value, int) and dice.random() < 0.3:
        return str(value)  # a number as a text; both are met
    if isinstance(value, str) and value.isdecimal() and dice.random() < 0.3:
        return int(value[:40])
    return _value(dice)


def _value(dice: random.Random) -> Any:
    return copy.deepcopy(dice.choice(_VALUES))


def _cut(body: bytes, dice: random.Random) -> bytes:
    """Take some bytes out, or double them, and put others in."""
    begin = dice.randint(0, len(body))
    end = dice.randint(begin, min(len(body), begin + 40))
    put_in = dice.randbytes(dice.randint(0, _MOST_PUT_IN))
    if dice.random() < 0.3:
        put_in = body[begin:end] * 2
    return body[:begin] + put_in + body[end:]
