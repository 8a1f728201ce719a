"""The questions of docs/cookbook.md, asked of a small build and, where it is there, of the default build."""

import importlib.util
import re
import sys

import duckdb
import pytest

from integration.harness import PROJECT


def load_cookbook():
    specification = importlib.util.spec_from_file_location("cookbook", PROJECT / "docs" / "cookbook.py")
    module = importlib.util.module_from_spec(specification)
    sys.modules["cookbook"] = module
    specification.loader.exec_module(module)
    return module


cookbook = load_cookbook()
PAGE = cookbook.PAGE.read_text()
QUESTIONS = cookbook.questions(PAGE)
NAMES = [question.title.partition(".")[0] for question in QUESTIONS]
SERVING = PROJECT / "serving.duckdb"


def cells(answer: str) -> list[list[str]]:
    """Split a table in Markdown into its rows, the heading first and without the line below it."""
    lines = [re.split(r"(?<!\\) \| ", line[2:-2]) for line in answer.splitlines()]
    return [lines[0], *lines[2:]]


def unmeasured(rows: list[list[str]]) -> list[list[str]]:
    """Leave out what was measured."""
    kept = [column for column, name in enumerate(rows[0]) if name not in cookbook.MEASURED]
    return [[row[column] for column in kept] for row in rows]


def test_there_are_twenty_questions_in_order():
    assert [int(name) for name in NAMES] == list(range(1, 21))
    assert PAGE.count("```sql") == len(QUESTIONS)


@pytest.mark.parametrize("question", QUESTIONS, ids=NAMES)
def test_a_query_runs_anywhere_and_gives_the_columns_that_are_shown(planted, question):
    with duckdb.connect(planted.first.database, read_only=True) as connection:
        names, rows, _ = cookbook.answer(connection, question.query)
    assert names == cells(question.answer)[0]
    # What names a segment or an item of the default data finds nothing here.
    is_general = not re.search(r"(name|title|category) = '", question.query)
    if (
        question.build == "default"
        and is_general
        and question.title != "8. Which good customers are about to be lost?"
    ):
        assert rows


@pytest.fixture(scope="module")
def shown_build():
    """The published default build, if there is one and it is the one that the page shows."""
    if not SERVING.is_file():
        pytest.skip("there is no serving.duckdb: `make` builds and publishes it")
    with duckdb.connect(SERVING, read_only=True) as connection:
        kinds, found = cookbook.build_kinds(connection), cookbook.fingerprint(connection)
        if found not in cookbook.fingerprints(PAGE).values():
            pytest.skip(
                "serving.duckdb has other segments or lists than docs/cookbook.md: of other data, settings "
                "or models, or of another processor; `make cookbook` would write the page anew"
            )
        yield connection, kinds


@pytest.mark.parametrize("question", QUESTIONS, ids=NAMES)
def test_an_answer_is_what_the_default_build_gives(shown_build, question):
    connection, kinds = shown_build
    if question.build not in kinds:
        pytest.skip(f"needs make {question.build}")
    found = cells(cookbook.table(*cookbook.answer(connection, question.query)))
    assert unmeasured(found) == unmeasured(cells(question.answer))
    assert len(found) > 1


def test_rewriting_changes_nothing_but_what_was_measured(shown_build):
    connection, _ = shown_build
    again = cookbook.questions(cookbook.rewritten(PAGE, connection))
    assert [question.title for question in again] == [question.title for question in QUESTIONS]
    assert [unmeasured(cells(question.answer)) for question in again] == [
        unmeasured(cells(question.answer)) for question in QUESTIONS
    ]


def test_answers_are_written_as_people_read_them():
    with duckdb.connect() as connection:
        written = cookbook.table(
            *cookbook.answer(
                connection,
                """
                select 'a | b' as text, 1234567 as whole, 0.5 as decimal, x as double, null as nothing,
                    true as flag, timestamp '2020-01-02 03:04:05' as time
                from (values (1000.25::double), (2::double)) as numbers(x)
                """,
            )
        )
    assert written == (
        "| text | whole | decimal | double | nothing | flag | time |\n"
        "| --- | ---: | ---: | ---: | ---: | --- | --- |\n"
        "| a \\| b | 1,234,567 | 0.5 | 1,000.25 |  | yes | 2020-01-02 03:04:05 |\n"
        "| a \\| b | 1,234,567 | 0.5 | 2.00 |  | yes | 2020-01-02 03:04:05 |\n"
    )
    assert cells(written)[1] == ["a \\| b", "1,234,567", "0.5", "1,000.25", "", "yes", "2020-01-02 03:04:05"]
