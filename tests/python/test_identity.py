import numpy as np
import pytest

from manyfaces.segments.identity import number_segments


def numbers(before, after, segments, issued, min_overlap=0.3, **profiles):
    return number_segments(
        np.array(before, dtype=int), np.array(after, dtype=int), segments, issued, min_overlap, **profiles
    )


def test_the_first_build_counts_from_one():
    found = numbers([-1, -1, -1], [0, 1, 2], 3, 0)
    assert found.numbers.tolist() == [1, 2, 3]
    assert found.issued == 3
    assert found.matched_by == "nothing"


def test_a_permutation_keeps_every_number():
    before = np.repeat([1, 2, 3], 20)
    after = np.repeat([2, 0, 1], 20)
    found = numbers(before, after, 3, 3)
    assert found.numbers.tolist() == [2, 3, 1]
    assert found.overlap.tolist() == [1, 1, 1]
    assert found.issued == 3


def test_a_split_keeps_the_number_with_the_larger_part_and_a_new_one_is_never_used_before():
    before = [1] * 30 + [2] * 20
    after = [0] * 18 + [2] * 12 + [1] * 20
    found = numbers(before, after, 3, issued=7)
    assert found.numbers.tolist() == [1, 2, 8]
    assert found.issued == 8


def test_a_merger_keeps_one_number_and_the_other_dies():
    found = numbers([1] * 30 + [2] * 20 + [3] * 5, [0] * 50 + [1] * 5, 2, 3)
    assert found.numbers.tolist() == [1, 3]
    assert found.issued == 3


def test_too_little_overlap_is_another_segment():
    before = [1] * 10 + [2] * 10
    after = [0, 1] * 10
    assert numbers(before, after, 2, 2, min_overlap=0.4).numbers.tolist() == [3, 4]
    assert sorted(numbers(before, after, 2, 2, min_overlap=0.2).numbers.tolist()) == [1, 2]


def test_the_match_is_the_best_in_all_and_not_the_first_best():
    # Greedy would give 1 to the first new segment (overlap 6) and leave 2 without one.
    before = [1] * 11 + [2] * 6
    after = [0] * 6 + [1] * 5 + [0] * 6
    assert numbers(before, after, 2, 2, min_overlap=0.1).numbers.tolist() == [2, 1]


def test_users_in_no_segment_and_users_of_one_build_do_not_count():
    before = [1, 1, 1, 0, 0, -1, -1, 1]
    after = [0, 0, 0, -1, 1, 1, 0, -2]
    found = numbers(before, after, 2, 1)
    assert found.numbers.tolist() == [1, 2]
    assert found.overlap[0] == 1


def test_profiles_decide_where_few_users_are_shared():
    before = [1] * 50 + [2] * 50 + [-1] * 100
    after = [-2] * 100 + [0] * 50 + [1] * 50
    profiles = {1: np.array([1.0, 0, 0.2]), 2: np.array([0, 1.0, 0.2])}
    found = numbers(
        before,
        after,
        2,
        2,
        profiles_before=profiles,
        profiles_after=np.array([[0.1, 0.9, 0.2], [0.8, 0, 0.3]]),
    )
    assert found.numbers.tolist() == [2, 1]
    assert found.matched_by == "profile"
    without = numbers(before, after, 2, 2)
    assert without.numbers.tolist() == [3, 4]


@pytest.mark.parametrize("segments", [0, 3])
def test_nothing_before_and_nothing_now(segments):
    found = numbers([], [], segments, 4)
    assert found.numbers.tolist() == [5, 6, 7][:segments]
    assert numbers([1, 1], [-2, -2], 0, 1).numbers.tolist() == []
