"""Why somebody is in a segment, as rules that a person can read: "active days below 12 and any Coffee".

A shallow decision tree tells the users of one segment from all others (a global surrogate model: Craven
and Shavlik, "Extracting Tree-Structured Representations of Trained Networks", NIPS 1995; trees: Breiman et
al. 1984). Each leaf is a rule. Rules are chosen on one part of the users by weighted relative accuracy
(Lavrac, Flach and Zupan, ILP 1999: how many users a rule picks times how much more members there are among
them than among all) and measured on the other part. What is measured is the rule as it reads, with its
rounded numbers.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from sklearn.tree import DecisionTreeClassifier

from manyfaces.phrases import Phrases
from manyfaces.progress import stage
from manyfaces.store import Artifact, ArtifactStore, fingerprint

MODEL_VERSION = "segment-rules-1"

MAX_DEPTH = 3
RULES_PER_SEGMENT = 3
# A leaf holds at least this share of the users, so that a rule is no chance find.
MIN_LEAF_SHARE = 0.005
# Standard errors by which the share of members in a leaf exceeds that among all users. A tree that looks at a
# hundred figures finds leaves at 4 or 5 by chance.
MIN_SIGNIFICANCE = 6
# Shares are stored with 6 digits: what is smaller is nothing.
ANY_SHARE = 1e-6

RULE_SCHEMA = {
    "segmentation": pl.String,
    "segment_id": pl.String,
    "rule_rank": pl.Int32,
    "rule": pl.String,
    "users_matched": pl.Int64,
    "users_measured": pl.Int64,
    "precision": pl.Float64,
    "recall": pl.Float64,
    "lift": pl.Float64,
    "fidelity": pl.Float64,
    "run_id": pl.String,
    "model_version": pl.String,
}


@dataclass(frozen=True)
class Feature:
    """A column of figures in words.

    Attributes:
        label: What it is called in a sentence.
        unit: share (0 to 1), category (share of a category), amount, log_ratio or number.
        is_whole: Whether all its values are whole numbers.
    """

    label: str
    unit: str
    is_whole: bool = False


@dataclass(frozen=True)
class Condition:
    """Values of a feature from `low` to below `high`."""

    feature: int
    low: float = -math.inf
    high: float = math.inf


Rule = tuple[Condition, ...]


def explain_segments(
    features: pl.DataFrame,
    category_shares: pl.DataFrame,
    assignments: pl.DataFrame,
    feature_labels: pl.DataFrame,
    category_labels: pl.DataFrame,
    *,
    phrases: Phrases,
    min_users: int,
    seed: int,
    store: ArtifactStore,
) -> pl.DataFrame:
    """Find rules for every segment of every segmentation, once for the same data.

    Args:
        features: user_key, is_held_out and one column per entry of `feature_labels`; of these users only.
        category_shares: user_key, category, share (0 to 1); a pair that is absent is 0.
        assignments: segmentation, user_key, segment_id, is_unassigned. Unassigned users are no segment, but
            they are among the others from whom a segment is told.
        feature_labels: feature, label, unit.
        category_labels: category, label.
        phrases: The words between labels and numbers.
        min_users: Fewer users on either side of a rule, or matched by it, are too few.
        seed: Seed of the trees.
        store: Where the result is kept.

    Returns:
        Columns of RULE_SCHEMA, at most RULES_PER_SEGMENT rows per segment; all figures but the rank are
        measured on held-out users. No rows for a segment that is too small, the only one, or in nothing
        different.
    """
    features = features.sort("user_key")
    category_shares = category_shares.sort("category", "user_key")
    assignments = assignments.join(features.select("user_key"), on="user_key", how="semi").sort(
        "segmentation", "user_key"
    )
    parameters = {
        "max_depth": MAX_DEPTH,
        "rules_per_segment": RULES_PER_SEGMENT,
        "min_leaf_share": MIN_LEAF_SHARE,
        "min_significance": MIN_SIGNIFICANCE,
        "min_users": min_users,
        "seed": seed,
    }
    labels = feature_labels.sort("feature"), category_labels.sort("category")
    words = phrases.part("rule_") | phrases.part("percent")
    data = fingerprint(features, category_shares, assignments, *labels, words)

    def compute() -> Artifact:
        with stage("explaining_rules", len(features)):
            columns, values = _figures(features, category_shares, *labels)
            found = list(_all_rules(features, assignments, columns, values, phrases, min_users, seed))
        fidelity = [row["fidelity"] for row in found if row["rule_rank"] == 1]
        meta = {
            "algorithm": "one-vs-rest decision trees",
            "model_version": MODEL_VERSION,
            "parameters": parameters,
            "data_fingerprint": data,
            "metrics": {
                "segments": len(fidelity),
                "mean_fidelity": round(float(np.mean(fidelity)), 6) if fidelity else None,
            },
            "rows": len(features),
            "rules": found,
        }
        return Artifact({}, meta)

    artifact = store.fit("explaining_rules", fingerprint(MODEL_VERSION, parameters, data), compute)
    made_by = {"run_id": artifact.run_id, "model_version": artifact.meta["model_version"]}
    return pl.DataFrame([row | made_by for row in artifact.meta["rules"]], schema=RULE_SCHEMA)


def rules_of_segment(
    values: np.ndarray,
    is_member: np.ndarray,
    is_held_out: np.ndarray,
    features: Sequence[Feature],
    phrases: Phrases,
    *,
    min_users: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Find the rules that tell the members of one segment from all others.

    Args:
        values: (users, features) figures.
        is_member: (users,) bool.
        is_held_out: (users,) bool; rules are made of the other users and measured on these.
        features: The columns in words.
        phrases: The words between labels and numbers.
        min_users: Least number of members and of others in the fit, of members in a leaf, and of held-out
            users that match a rule.
        seed: Seed of the tree.

    Returns:
        rule_rank, rule, users_matched, users_measured, precision, recall, lift and fidelity of each rule,
        best first. Fidelity is of all rules together: the mean of the share of members that match one of
        them and the share of others that match none (balanced accuracy); 0.5 is chance.
    """
    fit = ~is_held_out
    members, others = np.count_nonzero(is_member[fit]), np.count_nonzero(~is_member[fit])
    held_members = np.count_nonzero(is_member[is_held_out])
    held_others = np.count_nonzero(is_held_out) - held_members
    least = max(min_users, 1)
    if min(members, others) < least or not held_members or not held_others:
        return []
    chosen = _choose(values[fit], is_member[fit], features, phrases, least, seed)
    held, truth = values[is_held_out], is_member[is_held_out]
    measured = [(rule, matches(rule, held)) for rule in chosen]
    measured = [(rule, matched) for rule, matched in measured if matched.sum() >= least]
    if not measured:
        return []
    covered = np.any([matched for _, matched in measured], axis=0)
    fidelity = (covered[truth].mean() + (~covered[~truth]).mean()) / 2
    return [
        {
            "rule_rank": rank,
            "rule": rule_text(rule, features, phrases),
            "users_matched": int(matched.sum()),
            "users_measured": len(truth),
            "precision": _digits(truth[matched].mean()),
            "recall": _digits(matched[truth].mean()),
            "lift": _digits(truth[matched].mean() / truth.mean()),
            "fidelity": _digits(fidelity),
        }
        for rank, (rule, matched) in enumerate(measured, start=1)
    ]


def matches(rule: Rule, values: np.ndarray) -> np.ndarray:
    """Say which rows of (users, features) meet all conditions of a rule."""
    met = np.ones(len(values), dtype=bool)
    for condition in rule:
        column = values[:, condition.feature]
        met &= (column >= condition.low) & (column < condition.high)
    return met


def rule_text(rule: Rule, features: Sequence[Feature], phrases: Phrases) -> str:
    """Write a rule as people say it, such as "active days below 12 and share of Coffee at least 4.1 %"."""
    first, *rest = (_condition_text(condition, features[condition.feature], phrases) for condition in rule)
    for second in rest:
        first = phrases.text("rule_and", first=first, second=second)
    return first


def readable_bound(threshold: float, feature: Feature) -> float:
    """Round a threshold of a tree so that it reads well: values from the result on lie above it.

    Whole numbers round up to the next one, shares to a tenth of a percent, ratios to two decimals, others to
    two significant digits, from 100 on three.
    """
    if feature.is_whole:
        return math.floor(threshold) + 1.0
    if feature.unit in ("share", "category"):
        return round(threshold, 3) or ANY_SHARE
    if feature.unit == "log_ratio":
        return math.log(max(round(math.exp(threshold), 2), 0.01))
    return float(f"{threshold:.2g}" if abs(threshold) < 100 else f"{threshold:.3g}")


def _figures(
    features: pl.DataFrame,
    category_shares: pl.DataFrame,
    feature_labels: pl.DataFrame,
    category_labels: pl.DataFrame,
) -> tuple[list[Feature], np.ndarray]:
    """Return the columns in words and (users, columns) figures, features first, then categories."""
    names = feature_labels["feature"].to_list()
    activity = features.select(pl.col(names).cast(pl.Float64).fill_null(0)).to_numpy()
    columns = [
        Feature(label, unit, bool((activity[:, place] == np.floor(activity[:, place])).all()))
        for place, (label, unit) in enumerate(feature_labels.select("label", "unit").iter_rows())
    ]
    known = category_shares.join(category_labels, on="category").join(
        features.select("user_key").with_row_index("row"), on="user_key"
    )
    categories = known.select("category", "label").unique().sort("category")
    shares = np.zeros((len(features), len(categories)))
    place = {category: column for column, category in enumerate(categories["category"])}
    shares[known["row"].to_numpy(), [place[category] for category in known["category"]]] = (
        known["share"].cast(pl.Float64).round(6).to_numpy()
    )
    columns += [Feature(label, "category") for label in categories["label"]]
    return columns, np.column_stack([activity, shares])


def _all_rules(
    features: pl.DataFrame,
    assignments: pl.DataFrame,
    columns: Sequence[Feature],
    values: np.ndarray,
    phrases: Phrases,
    min_users: int,
    seed: int,
) -> Iterator[Mapping[str, Any]]:
    """Yield the rules of all segments, by segmentation, segment and rank."""
    keys = features["user_key"]
    held_out = features["is_held_out"].to_numpy()
    for (segmentation,), group in assignments.group_by("segmentation", maintain_order=True):
        rows = np.searchsorted(keys.to_numpy(), group["user_key"].to_numpy())
        segments = group["segment_id"].to_numpy()
        for segment in sorted(group.filter(~pl.col("is_unassigned"))["segment_id"].unique()):
            found = rules_of_segment(
                values[rows],
                segments == segment,
                held_out[rows],
                columns,
                phrases,
                min_users=min_users,
                seed=seed,
            )
            yield from ({"segmentation": segmentation, "segment_id": segment} | row for row in found)


def _choose(
    values: np.ndarray,
    is_member: np.ndarray,
    features: Sequence[Feature],
    phrases: Phrases,
    min_users: int,
    seed: int,
) -> list[Rule]:
    """Return the leaves of a tree that hold more members than usual, by weighted relative accuracy."""
    tree = DecisionTreeClassifier(
        max_depth=MAX_DEPTH,
        min_samples_leaf=max(min_users, math.ceil(MIN_LEAF_SHARE * len(values))),
        class_weight="balanced",
        random_state=seed,
    ).fit(values, is_member)
    share = is_member.mean()
    rated = []
    for rule in _leaves(tree.tree_, features):
        matched = matches(rule, values)
        if is_member[matched].sum() < min_users:
            continue
        excess = is_member[matched].mean() - share
        if excess * math.sqrt(matched.sum() / (share * (1 - share))) >= MIN_SIGNIFICANCE:
            rated.append((-_digits(matched.mean() * excess), rule_text(rule, features, phrases), rule))
    return [rule for _, _, rule in sorted(rated, key=lambda row: row[:2])[:RULES_PER_SEGMENT]]


def _leaves(tree: Any, features: Sequence[Feature]) -> Iterator[Rule]:
    """Yield the way to each leaf, one condition per feature, in the order in which the tree asks."""
    stack: list[tuple[int, Rule]] = [(0, ())]
    while stack:
        node, rule = stack.pop()
        feature = int(tree.feature[node])
        if feature < 0:
            if rule:
                yield rule
            continue
        bound = readable_bound(float(tree.threshold[node]), features[feature])
        stack.append((tree.children_right[node], _narrowed(rule, feature, low=bound)))
        stack.append((tree.children_left[node], _narrowed(rule, feature, high=bound)))


def _narrowed(rule: Rule, feature: int, low: float = -math.inf, high: float = math.inf) -> Rule:
    """Add a bound to a rule, in the place where it already speaks of the feature."""
    conditions = {condition.feature: condition for condition in rule}
    known = conditions.get(feature, Condition(feature))
    conditions[feature] = Condition(feature, max(known.low, low), min(known.high, high))
    return tuple(conditions.values())


def _condition_text(condition: Condition, feature: Feature, phrases: Phrases) -> str:
    label = phrases.text("rule_share", label=feature.label) if feature.unit == "category" else feature.label
    low, high = (
        None if math.isinf(bound) else _number_text(bound, feature, phrases)
        for bound in (condition.low, condition.high)
    )
    if feature.unit in ("share", "category"):
        if condition.high == ANY_SHARE:
            return phrases.text("rule_no", label=feature.label)
        if condition.low == ANY_SHARE and high is None:
            return phrases.text("rule_any", label=feature.label)
        if condition.low == ANY_SHARE:
            return phrases.text("rule_some", high=high, label=feature.label)
    if low is None:
        return phrases.text("rule_below", high=high, label=label)
    if high is None:
        return phrases.text("rule_at_least", low=low, label=label)
    return phrases.text("rule_between", low=low, high=high, label=label)


def _number_text(bound: float, feature: Feature, phrases: Phrases) -> str:
    if feature.unit in ("share", "category"):
        return phrases.text("percent", number=f"{100 * bound:.1f}")
    if feature.unit == "log_ratio":
        return phrases.text("rule_times_usual", ratio=f"{math.exp(bound):.2f}")
    return f"{bound:,.0f}" if abs(bound) >= 1000 or bound == round(bound) else f"{bound:g}"


def _digits(value: float) -> float:
    return round(float(value), 6)
