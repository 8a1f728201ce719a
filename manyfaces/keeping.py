"""Models that outlive a build: fitted once, kept while the plan says so, fitted again when it does not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from manyfaces.progress import say
from manyfaces.store import Artifact, ArtifactStore, fingerprint


@dataclass(frozen=True)
class Plan:
    """What the build at hand may reuse.

    Attributes:
        as_of: The wall of the build as ISO text; it orders builds in time.
        keep: Whether models fitted at an earlier wall go on serving, so that vectors of two walls lie in one
            space. False fits every model on the data of this wall.
        fitted_as_of: The wall whose models are kept, as ISO text.
        previous: Run ids behind the table that is about to be replaced.
    """

    as_of: str
    keep: bool = False
    fitted_as_of: str = ""
    previous: Sequence[str] = ()


def plan_for(decision: pl.DataFrame, previous: Sequence[str] = ()) -> Plan:
    """Return the plan of a build.

    Args:
        decision: as_of, decision (`keep` or `train`), fitted_as_of of the build's wall: one row, or none
            without events.
        previous: Run ids behind the table that is about to be replaced.
    """
    if decision.is_empty():
        return Plan("")
    as_of, verdict, fitted_as_of = decision.select("as_of", "decision", "fitted_as_of").row(0)
    return Plan(as_of.isoformat(), verdict == "keep", fitted_as_of.isoformat(), tuple(previous))


def keep_or_fit(
    store: ArtifactStore,
    kind: str,
    declaration: str,
    data: str,
    compute: Callable[[], Artifact],
    plan: Plan,
) -> Artifact:
    """Return the model of the last build if the plan keeps it, else the one that belongs to this data.

    A kept model must have been fitted for the same declaration and not on the other side of the wall: a build
    at an earlier wall never sees a model that was fitted later.

    Args:
        store: Where models lie.
        kind: Kind of the model, the first part of its run id.
        declaration: Fingerprint of everything but the data: version of the code, parameters, seed.
        data: Fingerprint of the data.
        compute: Fits the model on the data; called only if nothing fitting is stored.
        plan: What may be reused.

    Returns:
        The artefact. Its meta has `declaration`, and `fitted_as_of`: the wall at which it was fitted.
    """
    if plan.keep:
        kept = [run_id for run_id in sorted(plan.previous) if run_id.startswith(f"{kind}-")]
        for run_id in kept:
            try:
                meta = store.meta(run_id)
                if meta.get("declaration") == declaration and meta.get("fitted_as_of", "") <= plan.as_of:
                    return store.load(run_id)
            except KeyError:
                say(f"{kind}: the store has lost {run_id}")
        # After a build at a later wall the table holds its run; that of the planned wall is in the store.
        for run_id in store.run_ids(kind):
            meta = store.meta(run_id)
            if meta.get("declaration") == declaration and meta.get("fitted_as_of") == plan.fitted_as_of:
                return store.load(run_id)
        if kept:
            say(f"{kind}: no kept model fits this wall, so it is fitted again")

    def compute_and_date() -> Artifact:
        artifact = compute()
        artifact.meta |= {
            "declaration": declaration,
            "data_fingerprint": data,
            "fitted_as_of": plan.as_of,
        }
        return artifact

    return store.fit(kind, fingerprint(declaration, data), compute_and_date)
