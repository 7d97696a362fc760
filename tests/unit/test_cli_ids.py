"""From the beginning of an id to the one request that is meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipa_tpi.cli.ids import MIN_PREFIX, is_whole_id, match_prefix
from ipa_tpi.errors import BadInputError, NotFoundError

IDS = st.lists(st.uuids().map(str), min_size=1, max_size=6)


@given(IDS, st.data())
def test_a_beginning_finds_the_one_or_nothing(ids: list[str], data: st.DataObject) -> None:
    chosen = data.draw(st.sampled_from(ids))
    prefix = chosen[: data.draw(st.integers(MIN_PREFIX, 36))]
    fitting = {whole for whole in ids if whole.startswith(prefix)}
    if len(fitting) == 1:
        assert match_prefix(prefix, ids) == chosen
    else:
        with pytest.raises(BadInputError, match="Give more"):
            match_prefix(prefix, ids)


def test_two_that_begin_alike_are_never_chosen_from() -> None:
    ids = [f"7d7a2a9e-5d2e-4f34-9c55-0f6a3a3b7a1{last}" for last in "0123"]
    with pytest.raises(BadInputError, match="4 requests begin with 7d7a2a9e"):
        match_prefix("7d7a2a9e", ids)
    assert match_prefix(ids[2], [*ids, ids[2]]) == ids[2]


@given(IDS, st.text(min_size=8))
def test_what_no_id_begins_with_is_not_found(ids: list[str], prefix: str) -> None:
    if not any(whole.startswith(prefix) for whole in ids):
        with pytest.raises(NotFoundError):
            match_prefix(prefix, ids)


@given(st.text())
def test_what_a_server_lists_is_no_id_unless_it_has_the_form(text: str) -> None:
    assert not is_whole_id(text)
    with pytest.raises(NotFoundError):
        match_prefix(text[:8], [text])
