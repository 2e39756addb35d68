"""Values kept between runs of a node."""

import pytest


@pytest.fixture
def kept(pack):
    return pack("nodes.kept_values").KeptValues


def test_a_value_is_made_once_and_the_oldest_is_dropped_first(kept):
    made = []
    values = kept(2)

    def get(key):
        return values.get(key, lambda: made.append(key) or [key])

    first = get("a")
    assert get("a") is first and get("b") == ["b"] and get("a") is first
    get("c")
    assert get("a") is first
    assert get("b") == ["b"] and made == ["a", "b", "c", "b"]


def test_room_is_made_before_a_value_is(kept):
    values = kept(1)
    values.get("a", lambda: "a")
    seen = []
    values.get("b", lambda: seen.append(len(values._values)))
    assert seen == [0]


def test_a_failure_keeps_nothing(kept):
    values = kept(1)
    with pytest.raises(ZeroDivisionError):
        values.get("a", lambda: 1 / 0)
    assert values.get("a", lambda: 2) == 2
