import pytest

from manyfaces import progress


def test_say_goes_to_stderr_only(capsys):
    progress.say("hello")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "  manyfaces | hello\n"


def test_stage_reports_rows_set_inside_and_seconds(capsys):
    with progress.stage("embed") as current:
        current.rows = 12345
    assert capsys.readouterr().err.startswith("  manyfaces | embed: 12,345 rows, 0.0 s")


def test_stage_without_rows_names_no_rows(capsys):
    with progress.stage("embed"):
        pass
    assert "rows" not in capsys.readouterr().err


def test_stage_reports_a_failure_and_lets_it_through(capsys):
    with pytest.raises(ValueError, match="broken"), progress.stage("embed"):
        raise ValueError("broken")
    assert "embed: failed after" in capsys.readouterr().err


def test_ticker_is_silent_until_its_interval_has_passed(capsys):
    quiet, loud = progress.Ticker("a", 10), progress.Ticker("b", 1000, every_seconds=0.0)
    quiet.update(5)
    loud.update(500)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("  manyfaces | b: 500 of 1,000, ")
