"""vvos_core.plan: every size is cut within the provider's rules, without gaps, or refused."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from vvos_core import BadInput, Plan, Rules, TooLarge, plan_chunks

MIB = 1024 * 1024
GIB = 1024 * MIB

S3 = Rules(
    threshold=8 * MIB,
    part_size=8 * MIB,
    min_part=5 * MIB,
    max_part=5 * GIB,
    max_parts=10_000,
    max_key=1024,
    align=MIB,
)


@st.composite
def rules(draw: st.DrawFn, largest: int = 200) -> Rules:
    """Rules that a service could have; the usual part may be smaller than it takes."""
    max_part = draw(st.integers(1, largest))
    min_part = draw(st.integers(1, max_part))
    return Rules(
        threshold=draw(st.integers(0, largest)),
        part_size=draw(st.integers(1, max_part)),
        min_part=min_part,
        max_part=max_part,
        max_parts=draw(st.integers(1, 20)),
        max_key=1024,
        align=draw(st.integers(1, largest)),
    )


def check_plan(plan: Plan, size: int, rules: Rules) -> None:
    assert plan.size == size
    assert plan.multipart == (size > rules.threshold)
    spans = [plan.span(number) for number in range(1, plan.count + 1)]
    end = 0
    for offset, length in spans:
        assert offset == end, "no gap, nothing twice"
        end += length
    assert end == size
    if not plan.multipart:
        assert spans == [(0, size)]
        return
    lengths = [length for _, length in spans]
    assert len(lengths) <= rules.max_parts
    assert set(lengths[:-1]) <= {plan.part_size}
    assert 1 <= lengths[-1] <= plan.part_size
    assert rules.min_part <= plan.part_size <= rules.max_part
    usual = max(rules.part_size, rules.min_part)
    if size <= usual * rules.max_parts:
        assert plan.part_size == usual, "a part grows only where it has to"


@given(data=st.data(), rules=rules())
def test_every_size_that_fits_is_cut_within_the_rules(data: st.DataObject, rules: Rules) -> None:
    size = data.draw(st.integers(0, rules.max_size))
    check_plan(plan_chunks(size, rules), size, rules)


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(BadInput):
        plan_chunks(-1, S3)


@given(rules=rules(), beyond=st.integers(1, 10**6))
def test_what_cannot_fit_is_refused_with_both_sizes(rules: Rules, beyond: int) -> None:
    size = rules.max_size + beyond
    with pytest.raises(TooLarge) as caught:
        plan_chunks(size, rules)
    assert str(size) in str(caught.value)
    assert str(rules.max_size) in str(caught.value)


def test_every_small_size_of_one_set_of_rules() -> None:
    few = Rules(threshold=3, part_size=4, min_part=2, max_part=7, max_parts=5, max_key=9, align=2)
    for size in range(few.max_size + 1):
        check_plan(plan_chunks(size, few), size, few)
    assert few.max_size == 35


@given(size=st.integers(0, S3.max_size))
def test_s3_takes_every_size_up_to_ten_thousand_parts_of_five_gib(size: int) -> None:
    check_plan(plan_chunks(size, S3), size, S3)


def test_s3_takes_48_tib_and_not_one_byte_more() -> None:
    largest = 10_000 * 5 * GIB
    assert S3.max_size == largest
    assert largest / 1024 / GIB == pytest.approx(48.83, abs=0.01)
    plan = plan_chunks(largest, S3)
    assert (plan.count, plan.part_size) == (10_000, 5 * GIB)
    with pytest.raises(TooLarge):
        plan_chunks(largest + 1, S3)


def test_a_part_grows_only_when_the_file_needs_it_and_to_a_round_size() -> None:
    assert plan_chunks(10_000 * 8 * MIB, S3).part_size == 8 * MIB
    assert plan_chunks(10_000 * 8 * MIB + 1, S3).part_size == 9 * MIB
    assert plan_chunks(8 * MIB, S3).multipart is False
    assert plan_chunks(8 * MIB + 1, S3).count == 2


@pytest.mark.parametrize("number", [0, -1, 4])
def test_a_chunk_that_is_not_of_the_plan_has_no_span(number: int) -> None:
    plan = Plan(size=5, multipart=True, part_size=2)
    assert plan.count == 3
    with pytest.raises(ValueError, match=f"chunk {number} of 3"):
        plan.span(number)


def test_an_empty_file_is_one_chunk_of_nothing() -> None:
    plan = plan_chunks(0, S3)
    assert (plan.multipart, plan.count, plan.span(1)) == (False, 1, (0, 0))
