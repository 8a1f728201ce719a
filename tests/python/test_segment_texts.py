import json
from datetime import date, datetime
from pathlib import Path
from types import SimpleNamespace

import duckdb
import polars as pl
import pytest
from language_server import KEY_VARIABLE, MODEL, Reply, fake_server

from manyfaces.frames import previous_rows
from manyfaces.language.cache import CachedLanguageModel
from manyfaces.language.client import AnswerError
from manyfaces.language.interests import classify_interest
from manyfaces.language.prompts import (
    EVIDENCE_SCHEMA,
    NO_LABEL,
    read_evidence,
    require_many_users,
    segment_question,
)
from manyfaces.language.segment_texts import TEXT_SCHEMA, Wording, empty_texts, write_segment_texts
from manyfaces.segments.naming import Vocabulary
from manyfaces.store import ArtifactStore

SEEDS = Path(__file__).resolve().parents[2] / "seeds"
WORDS = pl.DataFrame(schema={"abbreviation": pl.String, "word": pl.String, "kind": pl.String})
WALL = datetime(2025, 6, 1)
FAVOURITES = {"taste-01": "Soup", "taste-02": "Tea", "taste-03": "Rice"}


def evidence(*rows):
    """Return evidence of rows (segment_id, kind, position, label, users)."""
    return pl.DataFrame(
        [
            ("taste", *row, *((None, None, -0.44) if row[1] == "feature" else (0.456, 2.04, None)))
            for row in rows
        ],
        schema=EVIDENCE_SCHEMA,
        orient="row",
    )


EVIDENCE = evidence(
    *[(segment, "category", 1, label, 30) for segment, label in FAVOURITES.items()],
    *[(segment, "feature", 1, "basket_amount", 30) for segment in FAVOURITES],
)
SEGMENTS = pl.DataFrame(
    [("taste", segment, f"Fans of {label}") for segment, label in FAVOURITES.items()],
    schema=["segmentation", "segment_id", "name"],
    orient="row",
)


def favourite(request):
    """The category that a request is about."""
    return request["messages"][1]["content"].split("\n- ")[1].split(":")[0]


def answer(request, **changes):
    label = favourite(request)
    given = {
        "name": f"{label} Friends",
        "description": f"They take a lot of {label.lower()}.",
        "interests": [{"category": label, "text": "Something warm in the evening"}],
    }
    return Reply(given | changes)


@pytest.fixture
def write(tmp_path):
    """Write texts with a server that answers as told; the server is there to be looked at afterwards."""

    def run(reply=answer, max_retries=0, **changes):
        with fake_server(reply) as server:
            run.server = server
            model = CachedLanguageModel(server.model(max_retries=max_retries), ArtifactStore(tmp_path))
            given = {
                "segments": SEGMENTS,
                "evidence": EVIDENCE,
                "words": WORDS,
                "banned": pl.read_csv(SEEDS / "banned_name_words.csv"),
                "overrides": pl.DataFrame(schema={"segment_id": pl.String, "name": pl.String}),
                "as_of": WALL,
            }
            return write_segment_texts(model, **(given | changes))

    return run


def names(texts):
    return dict(texts.select("segment_id", "name").iter_rows())


def reasons(texts):
    return dict(texts.select("segment_id", "reason").iter_rows())


# --- prompts ------------------------------------------------------------------------------------


def test_a_prompt_holds_rounded_figures_under_readable_labels():
    words = pl.DataFrame({"abbreviation": ["frzn"], "word": ["Frozen"], "kind": ["expand"]})
    rows = evidence(
        ("taste-01", "category", 1, "FRZN SOUP", 30),
        ("taste-01", "item", 1, "Pea soup\n2 x", 20),
        ("taste-01", "feature", 1, "basket_amount", 30),
    )
    found = read_evidence(rows, Vocabulary.from_frame(words), 5)
    question = segment_question(found, ["Tea Friends"], "German")
    assert question.material == (
        "Categories (share of its users who take them, use compared with the average):\n"
        "- Frozen Soup: 46 %, 2.0 times\n\n"
        "Items (share of its users who take them, compared with the average):\n"
        "- Pea soup 2 x: 46 %, 2.0 times\n\n"
        "Behaviour beside all users, in standard deviations:\n"
        "- basket amount: -0.4\n\n"
        "Interests:\n- Frozen Soup\n\n"
        "Names that are taken:\n- Tea Friends"
    )
    assert "Write German." in question.task


def test_texts_speak_of_what_is_taken_and_of_behaviour_only_where_there_is_nothing_else():
    feature = evidence(("taste-01", "feature", 1, "basket_amount", 30))
    soup = evidence(("taste-01", "category", 1, "Soup", 30))
    assert read_evidence(feature.vstack(soup), Vocabulary(), 5).labels == ("Soup",)
    assert read_evidence(feature, Vocabulary(), 5).labels == ("basket amount",)


@pytest.mark.parametrize(("users", "setting"), [(4, 1), (9, 10), (None, 5)])
def test_figures_of_few_users_are_refused(users, setting, write):
    rows = evidence(("taste-01", "category", 1, "Soup", users))
    with pytest.raises(ValueError, match=f"1 figures stand for fewer than {max(setting, 5)} users"):
        require_many_users(rows, setting)
    with pytest.raises(ValueError, match="fewer than"):
        write(evidence=rows, wording=Wording(min_users=setting))
    assert write.server.requests == []


def test_a_table_with_a_key_of_users_is_refused():
    rows = EVIDENCE.with_columns(user_key=pl.lit("0f3a"))
    with pytest.raises(ValueError, match="wrong: user_key"):
        require_many_users(rows, 5)


def test_nothing_but_evidence_and_names_given_is_sent(write):
    write(segments=SEGMENTS.with_columns(name=pl.lit("A name of few users")))
    sent = json.dumps(write.server.requests)
    assert "few users" not in sent
    assert "taste-0" not in sent
    assert sent.count("Soup Friends") == 2


# --- texts --------------------------------------------------------------------------------------


def test_every_segment_gets_name_description_and_interests(write):
    texts = write()
    assert dict(texts.schema) == TEXT_SCHEMA
    assert names(texts) == {"taste-01": "Soup Friends", "taste-02": "Tea Friends", "taste-03": "Rice Friends"}
    first = texts.row(0, named=True)
    assert first["description"] == "They take a lot of soup."
    assert json.loads(first["interests"]) == [{"category": "Soup", "text": "Something warm in the evening"}]
    assert (first["source"], first["model"], first["reason"]) == ("llm", MODEL, None)
    assert (first["generated_on"], first["generated_as_of"]) == (date.today(), WALL)


def test_the_order_of_rows_has_no_influence(write):
    first = write()
    again = write(segments=SEGMENTS.reverse(), evidence=EVIDENCE.reverse())
    assert again.equals(first)
    assert write.server.requests == []


def test_two_segments_never_share_a_name(write):
    texts = write(lambda request: answer(request, name="Soup Tea Rice"))
    assert names(texts) == {"taste-01": "Soup Tea Rice", "taste-02": None, "taste-03": None}
    assert reasons(texts)["taste-02"] == "The name is the name of another segment."


@pytest.mark.parametrize("name", ["Fans of Tea", "Our Soup", "Unassigned"])
def test_a_name_that_another_segment_may_show_is_taken(write, name):
    overrides = pl.DataFrame({"segment_id": ["taste-03"], "name": ["Our Soup"]})
    evidence_of_it = EVIDENCE.vstack(evidence(("taste-01", "item", 1, "Tea Fans unassigned", 9)))

    def reply(request):
        return answer(request, name=name) if favourite(request) == "Soup" else answer(request)

    texts = write(reply, evidence=evidence_of_it, overrides=overrides)
    assert texts.filter(segment_id="taste-01")["source"].item() == "rejected"


def test_a_rejected_name_takes_its_texts_along_and_says_why(write):
    texts = write(lambda request: answer(request, name="<b>Soup</b>"))
    row = texts.row(0, named=True)
    assert (row["source"], row["name"], row["description"], row["interests"]) == (
        "rejected",
        None,
        None,
        None,
    )
    assert row["reason"] == "The name holds the character U+003C, which is no plain text."
    assert row["prompt_hash"]


def test_a_good_name_stands_without_texts_that_are_not(write):
    interests = [{"category": "Soup", "text": "Warm"}, {"category": "Wine", "text": "Red"}, "none"]
    texts = write(lambda request: answer(request, description="Buy now! Yes.", interests=interests))
    row = texts.row(0, named=True)
    assert (row["source"], row["name"], row["description"]) == ("llm", "Soup Friends", None)
    assert json.loads(row["interests"]) == [{"category": "Soup", "text": "Warm"}]
    assert row["reason"] == (
        "The description has 13 characters, not 20 to 300. "
        "An interest is about a category that was not asked for."
    )


@pytest.mark.parametrize("content", [{"name": {"x": 1}, "description": 2, "interests": {"a": 1}}, "no JSON"])
def test_an_answer_of_another_shape_is_rejected(write, content):
    texts = write(lambda _: Reply(content))
    assert texts["source"].unique().to_list() == ["rejected"]
    assert None not in texts["reason"].to_list()


def test_a_server_that_fails_is_not_asked_for_every_segment(write):
    texts = write(Reply(status=500), max_retries=2)
    assert len(write.server.requests) == 3
    assert texts["name"].to_list() == [None] * 3
    assert set(texts["reason"]) == {"The language model failed with status 500; it was asked 3 times."}


def test_nothing_is_asked_about_a_segment_without_evidence(write):
    texts = write(evidence=EVIDENCE.filter(pl.col("segment_id") != "taste-02"))
    assert len(write.server.requests) == 2
    row = texts.filter(segment_id="taste-02").row(0, named=True)
    assert (row["source"], row["model"], row["prompt_hash"]) == ("rejected", None, None)


def test_no_segments_give_a_typed_empty_table(write):
    assert write(segments=SEGMENTS.clear()).equals(empty_texts())
    assert dict(empty_texts().schema) == TEXT_SCHEMA


# --- names that last ----------------------------------------------------------------------------

CHANGED = EVIDENCE.with_columns(
    label=pl.when(pl.col("label") == "Soup").then(pl.lit("Bread")).otherwise("label")
)


def test_a_name_lasts_while_its_texts_follow_the_evidence(write):
    first = write()
    texts = write(evidence=CHANGED, previous=first, as_of=datetime(2025, 7, 1))
    assert write.server.requests == []
    assert names(texts) == names(first)
    kept, other = texts.row(0, named=True), texts.row(1, named=True)
    assert (kept["description"], kept["interests"]) == (None, None)
    assert kept["reason"] == "The description shares no word with what sets the segment apart."
    assert kept["generated_as_of"] == WALL
    assert other == first.row(1, named=True)


def test_a_new_segment_is_told_which_names_stay(write):
    first = write(segments=SEGMENTS.tail(2))
    texts = write(previous=first)
    assert len(write.server.requests) == 1
    assert (
        "Names that are taken:\n- Rice Friends\n- Tea Friends"
        in (write.server.requests[0]["messages"][1]["content"])
    )
    assert names(texts)["taste-01"] == "Soup Friends"


def test_a_rejected_segment_is_tried_again_when_its_question_changes(write):
    first = write(lambda request: answer(request, name="Something Else"))
    assert write(previous=first)["source"].to_list() == ["rejected"] * 3
    assert write.server.requests == []
    assert names(write(previous=first, evidence=CHANGED))["taste-01"] == "Bread Friends"


def test_renaming_asks_again(write):
    first = write()
    texts = write(evidence=CHANGED, previous=first, wording=Wording(rename=True))
    assert names(texts)["taste-01"] == "Bread Friends"


def test_a_name_from_behind_the_wall_is_not_taken_over(write):
    first = write(as_of=datetime(2025, 7, 1))
    texts = write(evidence=CHANGED, previous=first)
    assert names(texts)["taste-01"] == "Bread Friends"


def test_a_table_of_another_version_is_not_read(write):
    previous = pl.DataFrame({"segment_id": ["taste-01"], "name": ["Old"]})
    assert names(write(previous=previous))["taste-01"] == "Soup Friends"


def test_previous_rows_are_those_of_the_table_that_is_replaced():
    class Relation(SimpleNamespace):
        def __repr__(self):
            return f'"{self.database}"."{self.schema}"."{self.identifier}"'

    relation = Relation(database="memory", schema="segments", identifier="texts")
    with duckdb.connect() as connection:
        assert previous_rows(connection, relation) is None
        connection.execute("create schema segments").fetchall()
        connection.execute("create table segments.texts as select 'a' as name").fetchall()
        assert previous_rows(connection, relation).to_dicts() == [{"name": "a"}]


# --- interests into labels ----------------------------------------------------------------------


def classify(tmp_path, label):
    with fake_server(Reply({"label": label})) as server:
        model = CachedLanguageModel(server.model(), ArtifactStore(tmp_path))
        return classify_interest(model, "Something warm", ["cooks", "drinkers"]), server


def test_an_interest_gets_one_of_the_declared_labels(tmp_path):
    label, server = classify(tmp_path, "cooks")
    assert label == "cooks"
    (request,) = server.requests
    schema = request["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["label"]["enum"] == ["cooks", "drinkers", NO_LABEL]
    assert '"Something warm"' in request["messages"][1]["content"]


def test_an_interest_that_fits_none_gets_none(tmp_path):
    assert classify(tmp_path, NO_LABEL)[0] is None


def test_an_invented_label_is_an_error(tmp_path):
    with pytest.raises(AnswerError, match="not among"):
        classify(tmp_path, "painters")


def test_without_labels_nothing_is_asked(tmp_path):
    with fake_server(Reply({"label": "x"})) as server:
        model = CachedLanguageModel(server.model(), ArtifactStore(tmp_path))
        with pytest.raises(ValueError, match="declared"):
            classify_interest(model, "Something warm", [])
    assert server.requests == []


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
