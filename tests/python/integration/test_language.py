"""The same build in Chinese: other words, and nothing else."""

import re
import shutil

import pytest

from integration.harness import FAST, Workspace

# Models that write words of the project, and the marts that show them.
WORDED = (
    *(
        "phrases",
        "feature_labels",
        "rfm_segments",
        "demographic_segments",
        "rule_segments",
        "interest_segments",
    ),
    *("segment_assignments", "segment_sizes", "cluster_names", "segment_labels", "segment_behaviour"),
    *(
        "segment_descriptions",
        "explaining_rules",
        "user_list_reasons",
        "user_recommendations",
        "user_segments",
    ),
    *("marts.segments", "segment_recommendations", "segment_rules_explained", "recommendation_overview"),
)
LATIN = re.compile(r"[A-Za-z]+")


@pytest.fixture(scope="module")
def both(chinese, tmp_path_factory):
    """A build on Chinese data with English words, and the same with Chinese ones."""
    workspace, english = chinese
    other = Workspace(tmp_path_factory.mktemp("language"))
    shutil.copytree(workspace.files, other.files, dirs_exist_ok=True)
    shutil.copy(english.database, other.database)
    return english, other.build(("build", "--select", *WORDED), **FAST, language="zh")


def words(texts):
    """The words in Latin letters of some texts."""
    return {word for text in texts for word in LATIN.findall(text)}


def test_names_and_descriptions_are_chinese(both):
    _, chinese = both
    rows = chinese.rows("select name, description, coalesce(distinguishing_features, '') from marts.segments")
    assert len(rows) > 10
    # The letter of a segment of which nothing is known.
    assert words(text for row in rows for text in row) <= {"UTC", "A"}
    names = {name for name, _, _ in rows}
    assert {"重要价值用户", "普通"} <= names
    assert any("与" in name for name in names)


def test_reasons_are_chinese(both):
    _, chinese = both
    # Conditions name columns; contexts and attributes are as the data has them.
    reasons = chinese.rows(
        """
        select distinct reason from marts.user_segments where segmentation <> 'tiers'
        union
        select distinct replace(reason, coalesce(evidence_id, '-'), '') from marts.user_recommendations
        union
        select distinct reason from marts.segment_recommendations
        union
        select distinct rule from marts.segment_rules_explained
        """
    )
    assert len(reasons) > 100
    assert words(reason for (reason,) in reasons) <= {"UTC"}
    assert (
        chinese.value("select count(*) from marts.user_recommendations where reason like '该用户有过 %次%'")
        > 0
    )


def test_names_in_other_tables_are_those_of_the_segments(both):
    _, chinese = both
    # Users outside the population of taste count as unassigned in the overview.
    assert set(
        chinese.rows(
            """
        select distinct segment_id, segment_name
        from (
            select segment_id, segment_name from marts.user_segments
            union all select segment_id, segment_name from marts.segment_recommendations
            union all select segment_id, segment_name from marts.recommendation_overview
        )
        except select segment_id, name from marts.segments
        """
        )
    ) == {("everyone", "所有用户"), ("taste-unassigned", "未分配")}


def test_only_words_differ(both):
    english, chinese = both
    for query in (
        "select segment_id, users, is_unassigned, share from marts.segments",
        "select segmentation, user_key, segment_id, margin from marts.user_segments",
        "select user_key, list, rank, item_id, source, score from marts.user_recommendations",
        "select segment_id, rule_rank, users_matched, precision, recall from marts.segment_rules_explained",
    ):
        assert sorted(english.rows(query), key=str) == sorted(chinese.rows(query), key=str), query


def test_an_unknown_language_stops_the_run_with_the_known_ones(chinese):
    workspace, _ = chinese
    failed = workspace.build(("run", "--select", "feature_labels"), expect=None, **FAST, language="klingon")
    assert failed.returncode == 2 or failed.returncode == 1
    assert "language" in failed.output
    assert "en, zh" in failed.output
