"""How values look on the wire, where they are written faster than by a JSON library."""

from __future__ import annotations

import orjson
from hypothesis import example, given
from hypothesis import strategies as st

from reservation.api.views import ReservationView, reservation_bytes, reservation_json
from reservation.model import Line, Reservation, State, sku_problem

times = st.integers(0, 4_000_000_000_000)
skus = st.text(min_size=1, max_size=64).filter(lambda sku: sku_problem(sku) is None)
reservations = st.builds(
    Reservation,
    st.from_regex(r"\A[a-z][a-z0-9_-]{1,31}:[A-Za-z0-9._-]{1,64}\Z"),
    st.sampled_from(State),
    st.lists(
        st.builds(
            Line,
            skus,
            st.from_regex(r"\A[A-Za-z0-9_-]{1,32}\Z"),
            st.integers(1, 10_000),
            st.integers(0, 10_000),
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
    times,
    st.none() | times,
    st.none() | times,
    st.none() | times,
)


@given(reservations)
@example(Reservation("tmall:1", State.HELD, (Line('"\\/\x7f猫', "main", 1),), 0, 1))
@example(Reservation("tmall:1", State.EXPIRED, (Line("²٣Ⅷ", "main", 1, 1),), 0, None, 2, 3))
def test_a_reservation_is_written_as_its_view_says(reservation: Reservation) -> None:
    """Byte for byte what orjson makes of it, and valid by the documented form."""
    written = reservation_bytes(reservation)
    assert written == orjson.dumps(reservation_json(reservation))
    ReservationView.model_validate_json(written)
