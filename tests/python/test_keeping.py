import numpy as np
import pytest

from manyfaces.keeping import Plan, keep_or_fit
from manyfaces.store import Artifact, ArtifactStore


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path)


def fit(store, plan, value, declaration="one"):
    return keep_or_fit(
        store, "model", declaration, f"data {value}", lambda: Artifact({"value": np.array([value])}), plan
    )


def test_a_kept_model_survives_new_data(store):
    first = fit(store, Plan("2025-01-01"), 1)
    second = fit(store, Plan("2025-02-01", keep=True, previous=[first.run_id]), 2)
    assert second.run_id == first.run_id
    assert second.arrays["value"][0] == 1
    assert second.meta["fitted_as_of"] == "2025-01-01"


def test_without_keeping_new_data_gives_a_new_model(store):
    first = fit(store, Plan("2025-01-01"), 1)
    second = fit(store, Plan("2025-02-01", previous=[first.run_id]), 2)
    assert second.run_id != first.run_id
    assert second.arrays["value"][0] == 2


def test_another_declaration_is_not_kept(store):
    first = fit(store, Plan("2025-01-01"), 1)
    second = fit(store, Plan("2025-02-01", keep=True, previous=[first.run_id]), 2, declaration="two")
    assert second.arrays["value"][0] == 2


def test_a_model_from_behind_the_wall_is_never_kept(store):
    first = fit(store, Plan("2025-02-01"), 1)
    second = fit(store, Plan("2025-01-01", keep=True, previous=[first.run_id]), 2)
    assert second.arrays["value"][0] == 2


def test_a_model_that_the_store_lost_is_fitted_again(store, capsys):
    first = fit(store, Plan("2025-01-01"), 1)
    for path in store.root.iterdir():
        path.unlink()
    second = fit(store, Plan("2025-02-01", keep=True, previous=[first.run_id]), 2)
    assert second.arrays["value"][0] == 2
    assert "has lost" in capsys.readouterr().err


def test_the_model_of_the_planned_wall_is_found_though_the_table_holds_a_later_one(store):
    january = fit(store, Plan("2025-01-01"), 1)
    march = fit(store, Plan("2025-03-01"), 3)
    plan = Plan("2025-02-01", keep=True, fitted_as_of="2025-01-01", previous=[march.run_id])
    assert fit(store, plan, 2).run_id == january.run_id
    assert fit(store, plan, 2, declaration="two").arrays["value"][0] == 2
