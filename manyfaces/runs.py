"""What the artefact store knows about the runs behind the current tables."""

import json
from collections.abc import Mapping

import polars as pl

from manyfaces.store import ArtifactStore

LOG_SCHEMA = {
    "run_id": pl.String,
    "model": pl.String,
    "epoch": pl.Int32,
    "train_loss": pl.Float64,
    "reconstruction_loss": pl.Float64,
    "kl_divergence": pl.Float64,
    "validation_loss": pl.Float64,
    "beta": pl.Float64,
    "learning_rate": pl.Float64,
}
RUNS_SCHEMA = {
    "run_id": pl.String,
    "model": pl.String,
    "algorithm": pl.String,
    "parameters": pl.String,
    "data_fingerprint": pl.String,
    "metrics": pl.String,
    "rows": pl.Int64,
    "seconds": pl.Float64,
    "peak_memory_mb": pl.Float64,
}


def training_epochs_table(runs: Mapping[str, list[str]], store_dir: str) -> pl.DataFrame:
    """Return a row per training epoch of the runs of each model (see learned_runs_table)."""
    store = ArtifactStore(store_dir)
    rows = [
        entry | {"run_id": run_id, "model": model}
        for model, run_ids in sorted(runs.items())
        for run_id in sorted(run_ids)
        for entry in store.meta(run_id).get("log") or []
    ]
    return pl.DataFrame(rows, schema=LOG_SCHEMA)


def learned_runs_table(runs: Mapping[str, list[str]], store_dir: str) -> pl.DataFrame:
    """Return what the store knows about each run of each model.

    Args:
        runs: Run ids by model, a model being the table that holds the run's rows.
        store_dir: Root of the artefact store.

    Returns:
        A row per model and run with the columns of RUNS_SCHEMA.

    Raises:
        KeyError: If the store does not have a run.
    """
    store = ArtifactStore(store_dir)
    rows = []
    for model, run_ids in sorted(runs.items()):
        for run_id in sorted(run_ids):
            meta = store.meta(run_id)
            texts = {
                name: json.dumps(meta.get(name) or {}, sort_keys=True) for name in ("parameters", "metrics")
            }
            rows.append(
                {name: meta.get(name) for name in RUNS_SCHEMA} | texts | {"run_id": run_id, "model": model}
            )
    return pl.DataFrame(rows, schema=RUNS_SCHEMA)
