"""What the report reads: aggregates of the marts as polars frames, small whatever the size of the marts."""

import contextlib
from collections.abc import Sequence

import duckdb
import polars as pl

MAP_USERS = 3000
SEGMENTATIONS = 8
LISTED_SEGMENTS = 30
CARDS = 12
CARD_ROWS = 6
# What is below it would be shown as 1.0 times the usual.
SMALLEST_LIFT = 1.05
RULES = 3
FLOW_WALLS = 6
FLOWS = 400
SHARE_WALLS = 26
EXAMPLES = 4
LIST_ROWS = 8
INTERESTS = 5
STRATEGIES = 24
EPOCHS = 200
TRAINED_MODELS = 9
MODEL_RUNS = 40
DECISIONS = 20
CANDIDATES = 16
CHECKS = 40
# What is longer is no name, and must not fill the page.
NAME_LENGTH = 200
SENTENCE_LENGTH = 800
_SENTENCES = ("description", "reason", "rule", "verdict", "explanation")
QUALITY_LENGTH = 20
_SCHEMA = "marts"


class Marts:
    """The marts of one published file."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Look which marts there are.

        Args:
            connection: to the published file, read-only.
        """
        self._connection = connection
        self.names = {
            name
            for (name,) in connection.execute(
                "select table_name from duckdb_tables() where schema_name = ? "
                "union select view_name from duckdb_views() where schema_name = ?",
                [_SCHEMA, _SCHEMA],
            ).fetchall()
        }

    def has(self, *marts: str) -> bool:
        """Say whether all these marts are there."""
        return self.names.issuperset(marts)

    def columns(self, mart: str) -> list[str]:
        """Return the columns of a mart, in order; none when it is not there."""
        return [
            name
            for (name,) in self._connection.execute(
                "select column_name from duckdb_columns() where schema_name = ? and table_name = ? "
                "order by column_index",
                [_SCHEMA, mart],
            ).fetchall()
        ]

    def frame(self, query: str, *parameters: object) -> pl.DataFrame:
        """Run a query. Names are cut at NAME_LENGTH characters, sentences at SENTENCE_LENGTH."""
        found = self._connection.execute(query, list(parameters)).pl()
        return found.with_columns(
            pl.col(name).str.slice(0, SENTENCE_LENGTH if name in _SENTENCES else NAME_LENGTH)
            for name, kind in found.schema.items()
            if kind == pl.String
        )

    def row(self, query: str, *parameters: object) -> dict:
        """Run a query that gives one row, or none: an empty one."""
        return next(self.frame(query, *parameters).iter_rows(named=True), {})


def build_info(marts: Marts) -> dict:
    """Return what is known of the build; what is not known, or cannot be read, is None."""
    found = dict.fromkeys(("run_id", "built_at", "as_of", "git_revision", "language", "state"))
    with contextlib.suppress(duckdb.Error):
        found |= marts.row("select * from marts.build_info limit 1")
    if not found["as_of"]:
        with contextlib.suppress(duckdb.Error):
            found |= marts.row("select max(as_of) as as_of from marts.learning_decisions")
    return found


def default_segmentation(marts: Marts) -> str | None:
    """Return the segmentation that lists and the map use, or the largest one."""
    if not marts.has("segments"):
        return None
    found = {}
    if marts.has("user_map"):
        found = marts.row(
            """
            select segments.segmentation
            from (select segment_id from marts.user_map where segment_id is not null limit 1) as mapped
            inner join marts.segments on mapped.segment_id = segments.segment_id
            """
        )
    found = found or marts.row(
        "select segmentation from marts.segments group by segmentation "
        "order by count(*) filter (where not is_unassigned) desc, segmentation limit 1"
    )
    return found.get("segmentation")


def segmentations(marts: Marts, first: str) -> pl.DataFrame:
    """One row per segmentation, `first` first: users, segments, unassigned users."""
    return marts.frame(
        """
        select
            segmentation,
            cast(sum(users) as bigint) as users,
            count(*) filter (where not is_unassigned) as segments,
            cast(coalesce(sum(users) filter (where is_unassigned), 0) as bigint) as unassigned_users,
            max(share) filter (where not is_unassigned) as largest_share,
            min(share) filter (where not is_unassigned) as smallest_share
        from marts.segments
        group by segmentation
        order by segmentation <> ?, segmentation
        limit ?
        """,
        first,
        SEGMENTATIONS,
    )


def segments(marts: Marts, names: Sequence[str]) -> pl.DataFrame:
    """One row per segment, largest first, with its place, the number that it goes by and its colour.

    The number is that of its id where all ids of the segmentation end in one, so that people find it again in
    SQL, and else its place. Colours are numbers from 1 for the largest eight, 0 for all others.
    """
    return marts.frame(
        """
        with ranked as (
            select
                *,
                row_number() over (
                    partition by segmentation order by is_unassigned, users desc, segment_id
                ) as place,
                try_cast(regexp_extract(segment_id, '-([0-9]{1,4})$', 1) as integer) as id_number
            from marts.segments
            where segmentation in (select unnest(?::varchar[]))
        ),

        numbered as (
            select
                *,
                bool_and(id_number is not null) filter (where not is_unassigned)
                    over (partition by segmentation) as has_numbers
            from ranked
        )

        select
            segmentation,
            segment_id,
            name,
            name_source,
            description,
            cast(users as bigint) as users,
            share,
            is_unassigned,
            centre_user_key,
            cast(place as integer) as place,
            cast(
                case when is_unassigned then 0 when has_numbers then id_number else place end as integer
            ) as number,
            cast(case when is_unassigned or place > 8 then 0 else place end as integer) as colour,
            max(share) filter (where not is_unassigned) over (partition by segmentation) as largest_share
        from numbered
        qualify place <= ? or is_unassigned
        order by segmentation, place
        """,
        list(names),
        LISTED_SEGMENTS,
    )


def map_points(marts: Marts, shown: pl.DataFrame) -> pl.DataFrame:
    """Positions of at most MAP_USERS users, with a column per segmentation: the place of their segment, or 0.

    Pseudonyms are as good as random, so the first by name are a fair sample, and always the same.
    """
    if not marts.has("user_map", "user_segments"):
        return pl.DataFrame()
    points = marts.frame(
        """
        with sampled as (
            select user_key, x, y from marts.user_map
            where isfinite(x) and isfinite(y)
            order by user_key
            limit ?
        )

        select
            sampled.user_key,
            round(sampled.x, 3) as x,
            round(sampled.y, 3) as y,
            user_segments.segmentation,
            user_segments.segment_id
        from sampled
        inner join marts.user_segments on sampled.user_key = user_segments.user_key
        where user_segments.segmentation in (select unnest(?::varchar[]))
        """,
        MAP_USERS,
        shown["segmentation"].unique().to_list(),
    )
    if points.is_empty():
        return points
    return (
        points.join(shown.select("segment_id", "place"), on="segment_id", how="left")
        .pivot("segmentation", index=["user_key", "x", "y"], values="place")
        .fill_null(0)
        .sort("user_key")
        .drop("user_key")
    )


def map_users(marts: Marts) -> int:
    """Return how many users have a position."""
    return marts.row("select count(*) as users from marts.user_map")["users"] if marts.has("user_map") else 0


def map_centres(marts: Marts, shown: pl.DataFrame) -> pl.DataFrame:
    """Centre of each segment on the map."""
    if not marts.has("segment_map"):
        return pl.DataFrame()
    centres = marts.frame(
        "select segment_id, x, y from marts.segment_map where segment_id in (select unnest(?::varchar[]))",
        shown["segment_id"].to_list(),
    )
    return shown.filter(~pl.col("is_unassigned")).join(centres, on="segment_id", how="inner").sort("place")


def profiles(marts: Marts, segment_ids: Sequence[str]) -> pl.DataFrame:
    """The features that set segments apart, at most CARD_ROWS each.

    Of figures that differ only in their window, hour or weekday, the one that differs most stands for all.
    """
    if not marts.has("segment_profiles"):
        return pl.DataFrame()
    return marts.frame(
        """
        with best_of_kind as (
            select *
            from marts.segment_profiles
            where segment_id in (select unnest(?::varchar[])) and standardised_difference is not null
            qualify row_number() over (
                partition by
                    segment_id,
                    regexp_replace(
                        regexp_replace(feature, '_[0-9]+_days$', ''),
                        '^(hour_[0-9_]+|[a-z]+day)_share$',
                        'time_share'
                    )
                order by difference_rank
            ) = 1
        )

        select segment_id, feature, mean, overall_mean, standardised_difference as difference
        from best_of_kind
        qualify row_number() over (partition by segment_id order by difference_rank) <= ?
        order by segment_id, difference_rank
        """,
        list(segment_ids),
        CARD_ROWS,
    )


def top_categories(marts: Marts, segment_ids: Sequence[str]) -> pl.DataFrame:
    """Categories that segments take more of than everyone, at most CARD_ROWS each."""
    if not marts.has("segment_top_categories"):
        return pl.DataFrame()
    has_labels = "category_label" in marts.columns("segment_top_categories")
    label = "coalesce(category_label, category)" if has_labels else "category"
    return marts.frame(
        f"""
        select segment_id, {label} as category, share, overall_share, lift, cast(users as bigint) as users
        from marts.segment_top_categories
        where segment_id in (select unnest(?::varchar[])) and rank <= ? and lift >= ?
        order by segment_id, rank
        """,
        list(segment_ids),
        CARD_ROWS,
        SMALLEST_LIFT,
    )


def top_items(marts: Marts, segment_ids: Sequence[str]) -> pl.DataFrame:
    """Items that segments take more of than everyone, at most CARD_ROWS each, each title once."""
    if not marts.has("segment_top_items"):
        return pl.DataFrame()
    return marts.frame(
        """
        with titled as (
            select *, coalesce(title, item_id) as shown_title
            from marts.segment_top_items
            where segment_id in (select unnest(?::varchar[])) and lift >= ?
            qualify row_number() over (partition by segment_id, shown_title order by rank) = 1
        )

        select segment_id, shown_title as title, share, lift, cast(users as bigint) as users
        from titled
        qualify row_number() over (partition by segment_id order by rank) <= ?
        order by segment_id, rank
        """,
        list(segment_ids),
        SMALLEST_LIFT,
        CARD_ROWS,
    )


def rules(marts: Marts, segment_ids: Sequence[str]) -> pl.DataFrame:
    """Rules by which users of segments can be told, at most RULES each."""
    if not marts.has("segment_rules_explained"):
        return pl.DataFrame()
    return marts.frame(
        """
        select segment_id, rule, precision, recall, lift, fidelity
        from marts.segment_rules_explained
        where segment_id in (select unnest(?::varchar[])) and rule_rank <= ?
        order by segment_id, rule_rank
        """,
        list(segment_ids),
        RULES,
    )


def walls(marts: Marts) -> int:
    """Return at how many walls segments are known."""
    if not marts.has("segment_drift"):
        return 0
    return marts.row("select count(distinct as_of) as walls from marts.segment_drift")["walls"]


def flows(marts: Marts, names: Sequence[str]) -> pl.DataFrame:
    """Users who went from segment to segment between the newest FLOW_WALLS walls of each segmentation."""
    if not marts.has("segment_migrations"):
        return pl.DataFrame()
    return marts.frame(
        """
        with newest as (
            select *
            from marts.segment_migrations
            where segmentation in (select unnest(?::varchar[]))
            qualify dense_rank() over (partition by segmentation order by to_as_of desc) < ?
        )

        select
            segmentation, from_as_of, to_as_of, from_segment_id, to_segment_id,
            cast(users as bigint) as users, share_of_from
        from newest
        qualify row_number() over (
            partition by segmentation order by users desc, to_as_of desc, from_segment_id, to_segment_id
        ) <= ?
        order by segmentation, to_as_of, from_segment_id, to_segment_id
        """,
        list(names),
        FLOW_WALLS,
        FLOWS,
    )


def shares(marts: Marts, segment_ids: Sequence[str]) -> pl.DataFrame:
    """Users and share of segments at the newest SHARE_WALLS walls."""
    if not marts.has("segment_drift"):
        return pl.DataFrame()
    return marts.frame(
        """
        select segmentation, as_of, segment_id, cast(users as bigint) as users, share
        from marts.segment_drift
        where segment_id in (select unnest(?::varchar[]))
        qualify dense_rank() over (partition by segmentation order by as_of desc) <= ?
        order by segmentation, segment_id, as_of
        """,
        list(segment_ids),
        SHARE_WALLS,
    )


def lineage(marts: Marts, names: Sequence[str]) -> pl.DataFrame:
    """Segments that were born, split, merged or died at the newest wall that was not the first."""
    if not marts.has("segment_lineage"):
        return pl.DataFrame()
    return marts.frame(
        """
        select segmentation, as_of, segment_id, event, parents, cast(users as bigint) as users
        from marts.segment_lineage
        where
            segmentation in (select unnest(?::varchar[])) and last_as_of is not null and event <> 'survived'
        qualify row_number() over (partition by segmentation order by as_of desc, segment_id) <= ?
        order by segmentation, as_of desc, segment_id
        """,
        list(names),
        CARD_ROWS,
    )


def list_overview(marts: Marts) -> pl.DataFrame:
    """Share of the rows of each list by how personal they are."""
    if not marts.has("user_recommendations"):
        return pl.DataFrame()
    return marts.frame(
        """
        select
            list, fallback_level, count(*) as rows, count(*) / sum(count(*)) over (partition by list) as share
        from marts.user_recommendations
        group by list, fallback_level
        order by list desc, fallback_level
        """
    )


def list_sources(marts: Marts) -> pl.DataFrame:
    """Share of the rows of each list by source."""
    if not marts.has("user_recommendations"):
        return pl.DataFrame()
    return marts.frame(
        """
        select list, source, count(*) / sum(count(*)) over (partition by list) as share
        from marts.user_recommendations
        group by list, source
        order by list desc, share desc, source
        """
    )


def example_users(marts: Marts, shown: pl.DataFrame) -> pl.DataFrame:
    """At most four users of different kinds, with the reason for which they were taken.

    The users in the centre of the largest and of the smallest segment, one at risk and one with a thin
    history; in their place one with a middling history. Only users who consent have lists of their own.
    """
    if not marts.has("user_profiles", "user_recommendations"):
        return pl.DataFrame()
    centres = []
    if len(shown):
        centres = shown.filter(~pl.col("is_unassigned"))["centre_user_key"].drop_nulls().to_list()
    largest = centres[0] if centres else None
    smallest = centres[-1] if len(centres) > 1 else None
    return marts.frame(
        """
        with listed as (
            select * from marts.user_profiles
            where has_consent and user_key in (select user_key from marts.user_recommendations)
        ),

        known as (
            select * from listed where events > 0
        ),

        at_risk as (
            select user_key from known
            where is_at_risk
            order by coalesce(amount, events) desc, user_key
            limit 1
        ),

        thin as (
            select user_key from known order by events, user_key limit 1
        ),

        anyone as (
            select user_key from listed
            order by
                abs(coalesce(events, 0) - (select quantile_disc(coalesce(events, 0), 0.5) from listed)),
                user_key
            limit 1
        ),

        picked as (
            select 1 as place, 'largest' as kind, cast(? as varchar) as user_key
            union all
            select 2, 'smallest', cast(? as varchar)
            union all
            select 3, 'at_risk', user_key from at_risk
            union all
            select 4, 'thin', user_key from thin
            union all
            select 5, 'typical', user_key from anyone
        )

        select
            picked.place,
            picked.kind,
            listed.*
        from picked
        inner join listed on picked.user_key = listed.user_key
        qualify row_number() over (partition by listed.user_key order by picked.place) = 1
        order by picked.place
        limit ?
        """,
        largest,
        smallest,
        EXAMPLES,
    )


def interests(marts: Marts, user_keys: Sequence[str]) -> pl.DataFrame:
    """Interests of some users."""
    if not marts.has("user_interests"):
        return pl.DataFrame()
    return marts.frame(
        """
        select user_key, horizon, coalesce(title, item_id) as title, weight
        from marts.user_interests
        where user_key in (select unnest(?::varchar[])) and interest_rank <= ?
        order by user_key, horizon, interest_rank
        """,
        list(user_keys),
        INTERESTS,
    )


def lists(marts: Marts, user_keys: Sequence[str]) -> pl.DataFrame:
    """The first LIST_ROWS rows of the lists of some users."""
    return marts.frame(
        """
        select user_key, list, rank, coalesce(title, item_id) as title, source, reason, fallback_level
        from marts.user_recommendations
        where user_key in (select unnest(?::varchar[])) and rank <= ?
        order by user_key, list, rank
        """,
        list(user_keys),
        LIST_ROWS,
    )


def quality(marts: Marts) -> pl.DataFrame:
    """Quality of each strategy at the newest judged wall: lists of QUALITY_LENGTH, supported items."""
    if not marts.has("recommendation_quality"):
        return pl.DataFrame()
    return marts.frame(
        """
        select * exclude (scope, k, group_kind, group_value, is_newest)
        from marts.recommendation_quality
        where is_newest and scope = 'supported' and k = ? and group_kind = 'all'
        qualify row_number() over (partition by list order by strategy <> 'blend', ndcg desc, strategy) <= ?
        order by list desc, ndcg desc, strategy
        """,
        QUALITY_LENGTH,
        STRATEGIES,
    )


def quality_by_group(marts: Marts) -> pl.DataFrame:
    """Quality of what is served, by length of history."""
    if not marts.has("recommendation_quality"):
        return pl.DataFrame()
    return marts.frame(
        """
        select
            list, group_value, users, hit_rate, ndcg, ndcg_low, ndcg_high,
            ndcg_over_popular, ndcg_over_popular_low, ndcg_over_popular_high
        from marts.recommendation_quality
        where
            is_newest and scope = 'supported' and k = ? and group_kind = 'history'
            and strategy = 'blend' and group_value <> '0-4'
        order by list desc, list_position(['0', '1-4', '5-19', '20+'], group_value)
        limit 20
        """,
        QUALITY_LENGTH,
    )


def uplift(marts: Marts) -> pl.DataFrame:
    """What each segmentation adds to the same recommender, at the newest judged wall."""
    if not marts.has("segmentation_uplift"):
        return pl.DataFrame()
    return marts.frame(
        """
        select
            list, segmentation, users, ndcg, ndcg_over_none, ndcg_over_none_low, ndcg_over_none_high,
            verdict, explanation, as_of, until
        from marts.segmentation_uplift
        where is_newest
        qualify row_number() over (
            partition by list order by segmentation <> 'none', ndcg_over_none desc nulls last, segmentation
        ) <= ?
        order by list desc, ndcg_over_none desc nulls last, segmentation
        """,
        STRATEGIES,
    )


def served(marts: Marts) -> pl.DataFrame:
    """What is served in each list."""
    if not marts.has("strategy_choice"):
        return pl.DataFrame()
    return marts.frame(
        "select list, strategy, since, verdict from marts.strategy_choice "
        "where segment_id = 'everyone' order by list desc"
    )


def prediction(marts: Marts) -> pl.DataFrame:
    """How much of what users did next their segments explain."""
    if not marts.has("segmentation_prediction"):
        return pl.DataFrame()
    return marts.frame(
        """
        select segmentation, outcome, epsilon_squared, predicted_from, predicted_until
        from marts.segmentation_prediction
        order by outcome <> 'category_mix', outcome, epsilon_squared desc nulls last, segmentation
        limit ?
        """,
        STRATEGIES,
    )


def data_quality(marts: Marts) -> pl.DataFrame:
    """Where the raw rows went."""
    if not marts.has("data_quality"):
        return pl.DataFrame()
    return marts.frame(
        """
        select check_name, line, reason, cast(row_count as bigint) as row_count, share, is_ok
        from marts.data_quality
        order by
            list_position(['raw', 'no_longer_in_input', 'clean', 'capped', 'rejected', 'balance'], line),
            row_count desc, check_name
        limit ?
        """,
        CHECKS,
    )


def training(marts: Marts) -> pl.DataFrame:
    """Losses by epoch; of long trainings every so many epochs."""
    if not marts.has("training_log"):
        return pl.DataFrame()
    return marts.frame(
        """
        with numbered as (
            select
                model,
                run_id,
                epoch,
                train_loss,
                validation_loss,
                max(epoch) over (partition by model, run_id) as epochs,
                dense_rank() over (order by model, run_id) as run_number
            from marts.training_log
        )

        select model, run_id, epoch, train_loss, validation_loss, epochs
        from numbered
        where
            run_number <= ?
            and (epoch % cast(ceil(epochs / cast(? as double)) as integer) = 0 or epoch in (1, epochs))
        order by model, run_id, epoch
        """,
        TRAINED_MODELS,
        EPOCHS,
    )


def model_runs(marts: Marts) -> pl.DataFrame:
    """What each fit cost, the longest first. A run behind several tables counts once."""
    if not marts.has("model_runs"):
        return pl.DataFrame()
    return marts.frame(
        """
        select
            min(model) as model,
            string_agg(distinct model, ', ' order by model) as tables,
            any_value(algorithm) as algorithm,
            max(rows) as rows,
            max(seconds) as seconds,
            max(peak_memory_mb) as peak_memory_mb
        from marts.model_runs
        group by run_id
        order by seconds desc nulls last, model
        limit ?
        """,
        MODEL_RUNS,
    )


def candidates(marts: Marts, segmentation: str) -> pl.DataFrame:
    """What was tried before a segmentation was made."""
    if not marts.has("segmentation_candidates"):
        return pl.DataFrame()
    return marts.frame(
        """
        select candidate, clusters, silhouette, stability, predictive, mean_rank, is_champion, reason
        from marts.segmentation_candidates
        where segmentation = ?
        qualify row_number() over (order by not is_champion, mean_rank nulls last, candidate) <= ?
        order by clusters, candidate
        """,
        segmentation,
        CANDIDATES,
    )


def decisions(marts: Marts) -> pl.DataFrame:
    """Whether models were fitted or kept, newest wall first."""
    if not marts.has("learning_decisions"):
        return pl.DataFrame()
    return marts.frame(
        """
        select as_of, decision, reason, cast(users as bigint) as users
        from marts.learning_decisions
        order by as_of desc
        limit ?
        """,
        DECISIONS,
    )
