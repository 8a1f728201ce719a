import numpy as np
import polars as pl
import pytest
from segment_users import champion_of, inputs_of, keys, planted
from sklearn.neighbors import KNeighborsClassifier

from manyfaces.segments.clustering import fit_segmentation
from manyfaces.segments.inputs import labels_of
from manyfaces.segments.knn import fit_knn
from manyfaces.store import ArtifactStore

SPEC = {"name": "groups", "encoder": "vae", "algorithm": "knn"}


def labelled(users=600, share=0.2, seed=0, **settings):
    vectors, truth = planted(users, dims=4, segments=3, outliers=0, seed=seed)
    names = np.array(["amber", "green", "red"], dtype=object)[truth]
    is_known = np.random.default_rng(seed).random(users) < share
    return vectors, names, is_known, np.where(is_known, names, None)


def names_of(found):
    return [None if label < 0 else found.names[label] for label in found.labels]


def test_users_without_a_label_get_that_of_their_like():
    vectors, names, is_known, labels = labelled()
    found = fit_knn(SPEC, inputs_of(vectors, labels=labels))
    assert (np.array(names_of(found), dtype=object) == names)[~is_known].mean() >= 0.95
    assert found.names == ["amber", "green", "red"]
    assert champion_of(found)["parameters"]["accuracy"] >= 0.95


def test_given_labels_are_kept_even_among_others():
    vectors, _, _, labels = labelled()
    stranger = np.flatnonzero(labels == "red")[0]
    labels[stranger] = "green"
    found = fit_knn(SPEC, inputs_of(vectors, labels=labels))
    assert names_of(found)[stranger] == "green"
    assert found.probability[stranger] == 1


def test_classes_and_probabilities_equal_scikit_learn():
    random = np.random.default_rng(5)
    vectors = random.normal(size=(300, 3)).round(2)
    labels = np.where(
        random.random(300) < 0.4, np.array(["a", "b", "c"], object)[random.integers(0, 3, 300)], None
    )
    found = fit_knn(SPEC | {"neighbours": [7], "min_probability": 0}, inputs_of(vectors, labels=labels))
    known = labels != None  # noqa: E711
    exact = vectors.astype(np.float32)
    reference = KNeighborsClassifier(7, weights="distance").fit(exact[known], labels[known].astype(str))
    chances = reference.predict_proba(exact[~known])
    np.testing.assert_allclose(found.probability[~known], chances.max(axis=1), atol=1e-6)
    assert (np.array(names_of(found))[~known] == reference.predict(exact[~known])).mean() >= 0.99


def test_doubtful_users_stay_unassigned():
    vectors = np.array([[0.0], [0.1], [10], [10.1], [5.05], [0.05]])
    labels = np.array(["left", "left", "right", "right", None, None], dtype=object)
    found = fit_knn(SPEC | {"neighbours": [4], "min_probability": 0.9}, inputs_of(vectors, labels=labels))
    # Only three of four users are learned from in each fold, so that is the number of neighbours.
    assert champion_of(found)["parameters"]["neighbours"] == 3
    assert names_of(found) == ["left", "left", "right", "right", None, "left"]
    assert found.probability[4] < 0.9


def test_the_most_accurate_number_of_neighbours_is_chosen():
    # Single users among others of another label: the nearest alone misleads, many do not.
    random = np.random.default_rng(6)
    vectors, names, _, _ = labelled(400)
    noisy = np.where(random.random(400) < 0.3, random.permutation(names), names)
    found = fit_knn(SPEC | {"neighbours": [1, 15]}, inputs_of(vectors, labels=noisy))
    accuracy = {row["parameters"]["neighbours"]: row["parameters"]["accuracy"] for row in found.candidates}
    assert accuracy[15] > accuracy[1]
    assert champion_of(found)["parameters"]["neighbours"] == 15
    assert "most frequent label" in champion_of(found)["reason"]


def test_many_labelled_users_are_learned_from_on_a_sample():
    vectors, names, is_known, labels = labelled(share=0.9)
    # Most of these are not in the sample, and others would not call them so.
    labels[np.flatnonzero(labels == "red")[:30]] = "amber"
    found = fit_knn(SPEC | {"max_fit_users": 60}, inputs_of(vectors, labels=labels))
    assert (np.array(names_of(found), dtype=object) == names)[~is_known].mean() >= 0.95
    assert (np.array(names_of(found), dtype=object) == labels)[is_known].all()


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (None, "no user has a label"),
        ([None] * 3, "no user has a label"),
        (["a", None, "a"], "all labels are a"),
    ],
)
def test_nothing_to_tell_apart_assigns_nobody(labels, reason):
    labels = None if labels is None else np.array(labels, dtype=object)
    found = fit_knn(SPEC, inputs_of(np.eye(3), labels=labels))
    assert (found.labels == -1).all()
    assert champion_of(found)["reason"] == f"Nobody assigned: {reason}, so there is nothing to tell apart."


def test_labels_must_be_as_many_as_users():
    with pytest.raises(ValueError, match="2 labels for 3 users: give one for each"):
        fit_knn(SPEC, inputs_of(np.eye(3), labels=np.array(["a", "b"], dtype=object)))


def test_table_of_labels_meets_the_users():
    table = pl.DataFrame(
        {"user_key": ["user000002", "user000000", "user000000", "ghost"], "label": ["b", "z", "a", "c"]}
    )
    assert labels_of(table, pl.Series(keys(3))).tolist() == ["a", None, "b"]
    nobody = labels_of(table.clear(), pl.Series(keys(2)))
    assert nobody.tolist() == [None, None]


def test_other_labels_are_fitted_again_and_names_follow_the_segments(tmp_path):
    vectors, _, _, labels = labelled(200)
    store = ArtifactStore(tmp_path)
    first = fit_segmentation(SPEC, inputs_of(vectors, labels=labels), store)
    assert fit_segmentation(SPEC, inputs_of(vectors, labels=labels), store).run_id == first.run_id
    changed = np.where(labels == "red", "pink", labels)
    second = fit_segmentation(SPEC, inputs_of(vectors, labels=changed), store)
    assert second.run_id != first.run_id
    known = labels != None  # noqa: E711
    named = np.array(first.meta["names"], dtype=object)[first.arrays["labels"]]
    assert (named == labels)[known].all()
    assert (np.diff(first.arrays["users"]) <= 0).all()
