import numpy as np
import polars as pl
import pytest
from sklearn.metrics import precision_recall_fscore_support

from manyfaces.segments.external import AGREEMENT_SCHEMA, agreement_with_labels


def frames(rows, segmentation="taste"):
    """Return assignments and labels of (user_key, segment_id, label) rows; a None is not there."""
    assignments = pl.DataFrame(
        [
            {
                "segmentation": segmentation,
                "user_key": user,
                "segment_id": segment,
                "is_unassigned": segment.endswith("unassigned"),
            }
            for user, segment, _ in rows
            if segment
        ],
        schema={
            "segmentation": pl.String,
            "user_key": pl.String,
            "segment_id": pl.String,
            "is_unassigned": pl.Boolean,
        },
    )
    labels = pl.DataFrame(
        [{"user_key": user, "label": label} for user, _, label in rows if label],
        schema={"user_key": pl.String, "label": pl.String},
    )
    return assignments, labels


def test_the_same_groups_under_other_names_agree_wholly():
    found = agreement_with_labels(
        *frames([("a", "s-1", "x"), ("b", "s-1", "x"), ("c", "s-2", "y"), ("d", "s-2", "y")])
    )
    row = found.row(0, named=True)
    assert row["users"] == 4
    assert (row["labels"], row["segments"]) == (2, 2)
    measures = list(AGREEMENT_SCHEMA)[6:]
    assert [row[name] for name in measures] == [1.0] * 6


def test_measures_after_matching_are_those_of_scikit_learn():
    generator = np.random.default_rng(3)
    truth = generator.integers(0, 4, 300)
    guess = np.where(generator.random(300) < 0.7, (truth + 1) % 4, generator.integers(0, 4, 300))
    rows = [(f"u{place:03}", f"s-{guess[place]}", f"label {truth[place]}") for place in range(300)]
    row = agreement_with_labels(*frames(rows)).row(0, named=True)
    # By construction segment k + 1 holds most of label k.
    precision, recall, f1, _ = precision_recall_fscore_support(truth, (guess - 1) % 4, average="macro")
    assert row["accuracy"] == pytest.approx(np.mean(truth == (guess - 1) % 4), abs=1e-6)
    assert (row["precision"], row["recall"], row["f1"]) == pytest.approx((precision, recall, f1), abs=1e-6)


def test_each_label_has_one_segment_at_most_and_the_unassigned_match_none():
    row = agreement_with_labels(
        *frames(
            [
                ("a", "s-1", "x"),
                ("b", "s-2", "x"),
                ("c", "s-2", "x"),
                ("d", "s-unassigned", "y"),
                ("e", "s-unassigned", "y"),
            ]
        )
    ).row(0, named=True)
    assert row["segments"] == 2
    assert row["accuracy"] == pytest.approx(0.4)
    assert row["recall"] == pytest.approx((2 / 3 + 0) / 2, abs=1e-6)
    # The matching may give y the segment that x left over, but nobody of y is in it.
    assert row["precision"] == pytest.approx(0.5)


def test_users_that_cannot_be_compared_are_counted():
    assignments, labels = frames(
        [("a", "s-1", "x"), ("b", "s-1", "x"), ("stranger", None, "x"), ("unlabelled", "s-2", None)]
    )
    labels = pl.concat([labels, pl.DataFrame({"user_key": ["b"], "label": ["y"]})])
    row = agreement_with_labels(assignments, labels).row(0, named=True)
    assert (row["users"], row["unknown_users"], row["ambiguous_users"]) == (1, 1, 1)


def test_every_segmentation_has_a_row_in_order_whatever_the_order_of_the_rows():
    taste, labels = frames([("a", "s-1", "x"), ("b", "s-2", "y"), ("c", "s-2", "x")])
    both = pl.concat([taste, taste.with_columns(segmentation=pl.lit("density"))])
    found = agreement_with_labels(both, labels)
    assert found["segmentation"].to_list() == ["density", "taste"]
    assert found.equals(agreement_with_labels(both.reverse(), labels.reverse()))


def test_without_labels_there_are_no_rows_and_without_labelled_users_no_measures():
    assignments, labels = frames([("a", "s-1", None), ("stranger", None, "x")])
    empty = agreement_with_labels(assignments, labels.clear())
    assert empty.is_empty()
    assert empty.schema == AGREEMENT_SCHEMA
    row = agreement_with_labels(assignments, labels).row(0, named=True)
    assert (row["users"], row["unknown_users"]) == (0, 1)
    assert row["adjusted_rand_index"] is None
    assert row["f1"] is None
