"""Measures whole builds, stage by stage, beside what DuckDB alone needs for the same questions.

Run it with `make bench`; benchmarks/README.md says what the numbers mean. It writes only to a temporary
folder and to benchmarks/results.json, and never touches warehouse.duckdb.

This process stays small and starts everything that it measures as a process of its own, because the peak
memory of a child counts what its parent held when it was started.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results.json"
BENCH_KEY = "manyfaces-bench-key-for-simulated-users-only"
STAGES = (
    "inputs",
    "seeds",
    "staging",
    "features",
    "embeddings",
    "segments",
    "recommendations",
    "evaluation",
    "marts",
    "tests",
)
PACKAGES = ("manyfaces", "duckdb", "dbt-core", "dbt-duckdb", "numpy", "scikit-learn", "torch")
BAD_STATUSES = ("error", "fail", "runtime error", "skipped")


# --- running and measuring ------------------------------------------------------------------------


def run_measured(command: list[str], log: Path, environment: dict[str, str] | None = None) -> dict[str, Any]:
    """Run a command to its end.

    Returns:
        `seconds` (wall clock), `cpu_seconds`, `peak_memory_mb` (the largest process of those it started) and
        `exit_code`. Its output goes to `log`.
    """
    started = time.perf_counter()
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.terminate()
            process.wait()
            raise
    process.returncode = os.waitstatus_to_exitcode(status)
    # Linux counts in KiB, macOS in bytes.
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_memory_mb": usage.ru_maxrss / unit,
        "exit_code": process.returncode,
    }


def run_part(name: str, folder: Path, **options: Any) -> dict[str, Any]:
    """Run one of the PARTS below in a process of its own; its result and how much it took."""
    result = folder / f"{name}.json"
    result.unlink(missing_ok=True)
    log = folder / f"{name}.log"
    command = [
        sys.executable,
        __file__,
        "--part",
        name,
        "--options",
        json.dumps(options),
        "--result",
        str(result),
    ]
    measured = run_measured(command, log)
    if measured["exit_code"] != 0:
        raise SystemExit(f"bench: {name} failed:\n{last_lines(log)}")
    return measured | json.loads(result.read_text())


def last_lines(log: Path, lines: int = 15) -> str:
    """Return the end of a log, without colours."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(errors="replace"))
    return "\n".join(text.splitlines()[-lines:])


def say(message: str) -> None:
    """Print progress to stderr, so that standard output is only the tables."""
    print(f"bench | {message}", file=sys.stderr, flush=True)


# --- whole builds ---------------------------------------------------------------------------------


def build(folder: Path, label: str, variables: dict[str, Any]) -> dict[str, Any]:
    """Run `dbt build` on a database of its own in `folder` and return what it took, by stage.

    A second call with the same folder finds what the first one left: tables, fitted models, the parse.
    """
    target = folder / "target"
    command = [
        str(Path(sys.executable).with_name("dbt")),
        "build",
        *("--target-path", str(target), "--log-path", str(folder / "logs")),
        *("--vars", json.dumps({"store_dir": str(folder / "models_store"), **variables})),
    ]
    environment = {
        "MANYFACES_DATABASE": str(folder / "warehouse.duckdb"),
        "MANYFACES_PSEUDONYM_KEY": BENCH_KEY,
        "DO_NOT_TRACK": "1",
    }
    for name in ("run_results.json", "manifest.json"):
        (target / name).unlink(missing_ok=True)
    log = folder / f"{label}.log"
    measured = run_measured(command, log, environment)
    if not (target / "run_results.json").exists():
        raise SystemExit(f"bench: dbt build could not start:\n{last_lines(log)}")
    measured |= read_run_results(target)
    measured["dbt_seconds"] = measured["seconds"] - measured["busy_seconds"]
    measured["database_mb"] = (folder / "warehouse.duckdb").stat().st_size / 1e6
    if measured["failed"]:
        say(f"{label}: NOT CLEAN, {len(measured['failed'])} nodes: {', '.join(measured['failed'][:8])}")
    return measured


def stage_of(node: dict[str, Any]) -> str:
    """Return the stage of a node of the manifest: its layer, or seeds, tests or hooks."""
    kind = node["resource_type"]
    return {"seed": "seeds", "test": "tests", "unit_test": "tests"}.get(kind) or node["fqn"][1]


def read_run_results(target: Path) -> dict[str, Any]:
    """Return times by stage and by node of the last run in a target folder.

    Returns:
        `stages`: by stage the nodes and the seconds in SQL and in Python, added up over the threads of dbt;
        `nodes`: every node with stage, language, seconds and status, the slowest first;
        `busy_seconds`: how long at least one node ran; `failed`: nodes that did not pass.
    """
    results = json.loads((target / "run_results.json").read_text())["results"]
    manifest = json.loads((target / "manifest.json").read_text())
    described = manifest["nodes"] | manifest.get("unit_tests", {})
    stages: dict[str, dict[str, float]] = {}
    nodes, intervals, failed = [], [], []
    for result in results:
        node = described.get(result["unique_id"])
        if node is None:
            continue
        stage, language = stage_of(node), node.get("language", "sql")
        seconds = result["execution_time"]
        entry = stages.setdefault(stage, {"nodes": 0, "sql_seconds": 0.0, "python_seconds": 0.0})
        entry["nodes"] += 1
        entry[f"{language}_seconds"] += seconds
        nodes.append(
            {
                "node": node["name"],
                "stage": stage,
                "language": language,
                "seconds": seconds,
                "status": str(result["status"]),
            }
        )
        if result["status"] in BAD_STATUSES:
            failed.append(node["name"])
        times = [
            datetime.fromisoformat(entry[edge].replace("Z", "+00:00")).timestamp()
            for entry in result["timing"]
            for edge in ("started_at", "completed_at")
            if entry.get(edge)
        ]
        if times:
            intervals.append((min(times), max(times)))
    return {
        "stages": stages,
        "nodes": sorted(nodes, key=lambda node: -node["seconds"]),
        "busy_seconds": covered(intervals),
        "failed": failed,
    }


def covered(intervals: Iterable[tuple[float, float]]) -> float:
    """Return the length of the union of intervals."""
    total, until = 0.0, float("-inf")
    for start, end in sorted(intervals):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def sql_model_seconds(build_result: dict[str, Any]) -> float:
    """Return the seconds of all SQL models of a build: no seeds, no tests, no hooks, no Python."""
    return sum(
        entry["sql_seconds"]
        for stage, entry in build_result["stages"].items()
        if stage not in ("seeds", "tests", "hooks")
    )


def same_question_seconds(build_result: dict[str, Any]) -> float:
    """Return the seconds of the models that answer the questions of the bare steps."""
    return sum(node["seconds"] for node in build_result["nodes"] if node["node"] in SAME_QUESTIONS)


# --- parts that run in a process of their own -----------------------------------------------------


def part_simulate(out: str, events: int) -> dict[str, Any]:
    """Write simulated input files."""
    from manyfaces.simulate import Parameters, simulate

    simulate(out, Parameters(events=events))
    files = sum(path.stat().st_size for path in Path(out).rglob("*.parquet"))
    return {"files_mb": files / 1e6}


def events_of(data: Path) -> str:
    """Return the events of a simulated input as a table function."""
    one_file = data / "events.parquet"
    return f"read_parquet('{one_file if one_file.exists() else data / 'events' / '*.parquet'}')"


# The questions of the project's SQL in the plainest form that answers them, without rejection reasons,
# pseudonyms, windows, ties or tests: what a person would write who only wants the lists. A statement a step.
# Deduplication, affinity, features, item statistics, pairs and neighbours, lists.
SAME_QUESTIONS = (
    "stg_events_checked",
    "user_item_affinity",
    "user_features",
    "item_stats",
    "user_top_items",
    "item_neighbours",
    "user_lists",
)
BARE_STEPS: dict[str, str] = {
    "dedupe all columns": """
        create table clean as
        select distinct user_id, item_id, event_type, event_at, value, quantity, session_id, context
        from {events}
        where
            user_id is not null and item_id is not null
            and event_at between timestamp '1990-01-01' and timestamp '2090-01-01'
    """,
    "decayed affinity per user and item": """
        create table affinity as
        select
            user_id,
            item_id,
            ln(1 + sum(
                case event_type
                    when 'view' then 0.1 when 'click' then 0.2 when 'add_to_cart' then 0.5
                    when 'watch' then 0.5 when 'favourite' then 0.6 when 'share' then 0.6
                    when 'rating' then 1.0 when 'purchase' then 1.0 else 0.0
                end * exp(-0.00577 * date_diff('second', clean.event_at, newest.newest_at) / 86400.0)
            )) as affinity,
            count(*) as events,
            max(event_at) as last_event_at
        from clean, (select max(event_at) as newest_at from clean) as newest
        group by user_id, item_id
    """,
    "user features with an exact median and distinct items": """
        create table user_features as
        select
            user_id,
            count(*) as events,
            count(distinct item_id) as items,
            count(distinct cast(event_at as date)) as days,
            median(value) as median_value,
            sum(value) filter (where event_type = 'purchase') as amount,
            min(event_at) as first_event_at,
            max(event_at) as last_event_at
        from clean
        group by user_id
    """,
    "item stats": """
        create table item_stats as
        select item_id, count(*) as events, count(distinct user_id) as users, max(event_at) as last_event_at
        from clean
        group by item_id
    """,
    "item pairs, top 20 items a user": """
        create table pairs as
        with top_items as (
            select user_id, unnest(max_by(item_id, affinity, 20)) as item_id from affinity group by user_id
        )
        select one.item_id as item_id, other.item_id as other_item_id, count(*) as users
        from top_items as one
        inner join top_items as other on one.user_id = other.user_id and one.item_id < other.item_id
        group by one.item_id, other.item_id
    """,
    "top 50 neighbours": """
        create table neighbours as
        with directed as (
            select item_id, other_item_id, users from pairs
            union all
            select other_item_id, item_id, users from pairs
        )
        select
            directed.item_id,
            unnest(max_by(
                struct_pack(
                    neighbour_id := other_item_id, score := directed.users / sqrt(one.users * other.users)
                ),
                directed.users / sqrt(one.users * other.users), 50
            ), recursive := true)
        from directed
        inner join item_stats as one on directed.item_id = one.item_id
        inner join item_stats as other on directed.other_item_id = other.item_id
        group by directed.item_id
    """,
    "lists of 20 from 5 recent x 20 neighbours": """
        create table lists as
        with recent as (
            select user_id, unnest(max_by(item_id, last_event_at, 5)) as item_id
            from affinity
            group by user_id
        ),
        near as (
            select
                item_id,
                unnest(max_by(
                    struct_pack(neighbour_id := neighbour_id, score := score), score, 20
                ), recursive := true)
            from neighbours
            group by item_id
        ),
        scored as (
            select recent.user_id, near.neighbour_id as item_id, sum(near.score) as score
            from recent inner join near on recent.item_id = near.item_id
            group by recent.user_id, near.neighbour_id
        )
        select user_id, max_by(item_id, score, 20) as items from scored group by user_id
    """,
}


def part_bare(data: str, database: str) -> dict[str, Any]:
    """Answer the questions with DuckDB alone, with the settings of profiles.yml."""
    import duckdb

    connection = duckdb.connect(database)
    connection.execute(f"set memory_limit = '{os.environ.get('MANYFACES_MEMORY_LIMIT', '4GB')}'")
    connection.execute(f"set threads = {int(os.environ.get('MANYFACES_DUCKDB_THREADS', '2'))}")
    connection.execute("set preserve_insertion_order = false")
    steps = {}
    for name, statement in BARE_STEPS.items():
        started = time.perf_counter()
        connection.execute(statement.format(events=events_of(Path(data))))
        steps[name] = time.perf_counter() - started
    rows = dict(
        connection.execute("select table_name, estimated_size from duckdb_tables() order by all").fetchall()
    )
    connection.close()
    return {"steps": steps, "rows": rows, "database_mb": Path(database).stat().st_size / 1e6}


def part_check(data: str, database: str) -> dict[str, Any]:
    """Hold a build on simulated data against the planted truth: rejected rows by reason, segments."""
    import duckdb
    from sklearn.metrics import adjusted_rand_score

    from manyfaces.pseudonyms import user_key

    connection = duckdb.connect(database, read_only=True)
    truth = Path(data) / "truth"
    planted = connection.execute(
        f"select reason, rows from read_parquet('{truth / 'dirt.parquet'}') "
        "where effect = 'rejected' and rows > 0"
    ).fetchall()
    found = connection.execute(
        "select rejection_reason, cast(sum(rejected_rows) as bigint) from staging.rejected_events "
        "group by rejection_reason"
    ).fetchall()
    users = connection.execute(
        f"select user_id, segment_after from read_parquet('{truth / 'users.parquet'}') where not is_bot"
    ).fetchall()
    segment = {user_key(user_id, BENCH_KEY): number for user_id, number in users}
    members = connection.execute(
        "select segmentation, user_key, segment_id from marts.user_segments"
    ).fetchall()
    agreement = {}
    for name in sorted({row[0] for row in members}):
        pairs = [
            (segment[key], given)
            for segmentation, key, given in members
            if segmentation == name and key in segment
        ]
        agreement[name] = adjusted_rand_score([one for one, _ in pairs], [str(given) for _, given in pairs])
    return {"planted": dict(planted), "found": dict(found), "agreement": agreement}


def part_kmeans(users: int, dims: int, segments: int) -> dict[str, Any]:
    """Fit k-means with one number of segments, as a segmentation does and by scikit-learn directly."""
    import numpy as np
    import polars as pl
    from sklearn.cluster import KMeans

    from manyfaces.segments.inputs import FitInputs
    from manyfaces.segments.kmeans import SCAN_USERS, fit_kmeans, refine_centres

    random = np.random.default_rng(0)
    noise = random.normal(size=(users, dims))
    centres = random.normal(size=(segments, dims))
    shapes = {
        "separate groups": centres[random.integers(0, segments, users)] + noise,
        "no groups at all": noise * np.linspace(2, 0.3, dims),
    }
    keys = pl.Series([f"user{number:08d}" for number in range(users)])
    spec = {"name": "bench", "algorithm": "kmeans", "candidates": [segments]}
    measured = {}
    for shape, points in shapes.items():
        vectors = points.astype(np.float32)
        start = KMeans(segments, n_init=10, random_state=7).fit(vectors[:SCAN_USERS]).cluster_centers_
        measured[shape] = {
            "last fit": fastest(lambda vectors=vectors, start=start: refine_centres(vectors, start, 7)),
            "scikit-learn, one start": fastest(
                lambda vectors=vectors: KMeans(segments, n_init=1, random_state=7).fit(vectors)
            ),
            "whole fit": fastest(lambda vectors=vectors: fit_kmeans(spec, FitInputs(vectors, keys, 7))),
            "scikit-learn, ten starts": fastest(
                lambda vectors=vectors: KMeans(segments, n_init=10, random_state=7).fit(vectors)
            ),
        }
    return {"users": users, "dims": dims, "segments": segments, "shapes": measured}


def part_placing(users: int, dims: int, segments: int, database: str) -> dict[str, Any]:
    """Place users in the nearest of some segments by the SQL of macro nearest_segments."""
    import duckdb

    question = "{{ nearest_segments('users', 'centroids') }}"
    dbt, target = str(Path(sys.executable).with_name("dbt")), f"{database}.target"
    compiled = subprocess.run(
        [dbt, "--quiet", "compile", "--target-path", target, "--inline", question],
        cwd=ROOT,
        env=os.environ | {"MANYFACES_DATABASE": ":memory:", "DBT_LOG_PATH": target},
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    def vectors(first: str) -> str:
        cell = f"hash(({first} + number) * {dims} + place)"
        return f"list_transform(range({dims}), lambda place: {cell} % 1000000 / 5e5 - 1)::float[]"

    with duckdb.connect(database) as connection:
        for statement in (
            f"set memory_limit = '{os.environ.get('MANYFACES_MEMORY_LIMIT', '4GB')}'",
            f"set threads = {os.environ.get('MANYFACES_DUCKDB_THREADS', '2')}",
            "set preserve_insertion_order = false",
            "create table users as select 'bench' as segmentation, 'user' || number as user_key, "
            f"{vectors('0')} as vector from range({users}) numbers(number)",
            "create table centroids as select 'bench' as segmentation, number as cluster, "
            f"number + 1 as segment_number, {vectors(str(users))} as centroid, 9.0 as radius "
            f"from range({segments}) numbers(number)",
        ):
            connection.execute(statement).fetchall()
        seconds = fastest(
            lambda: connection.execute(f"create or replace table placed as {compiled}").fetchall()
        )
        placed = connection.execute("select count(*) from placed").fetchone()[0]
    return {"users": users, "dims": dims, "segments": segments, "seconds": seconds, "placed": placed}


def fastest(call: Callable[[], Any], calls: int = 2) -> float:
    """Return the seconds of the fastest of some calls, the one that other processes disturbed least."""
    seconds = []
    for _ in range(calls):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "simulate": part_simulate,
    "bare": part_bare,
    "check": part_check,
    "kmeans": part_kmeans,
    "placing": part_placing,
}


# --- what is measured -----------------------------------------------------------------------------


def measure_default(folder: Path) -> dict[str, Any]:
    """Build the bundled data from nothing, then again when nothing changed."""
    folder.mkdir()
    say("default data, from an empty warehouse")
    first = build(folder, "default", {})
    say(f"default data, again when nothing changed (the first took {first['seconds']:.0f} s)")
    again = build(folder, "default_again", {})
    say(f"done in {again['seconds']:.0f} s")
    return {"first": first, "again": again}


def measure_size(folder: Path, events: int, is_bare_only: bool) -> dict[str, Any]:
    """Simulate an input, answer the bare questions on it and send it through everything."""
    folder.mkdir()
    data = folder / "data"
    say(f"{events:,} simulated events: writing")
    measured = {"simulate": run_part("simulate", folder, out=str(data), events=events)}
    say(f"{events:,} simulated events: bare DuckDB")
    measured["bare"] = run_part("bare", folder, data=str(data), database=str(folder / "bare.duckdb"))
    (folder / "bare.duckdb").unlink()
    if is_bare_only:
        return measured
    say(f"{events:,} simulated events: whole build")
    measured["build"] = build(folder, "build", {"input": "files", "files_dir": str(data)})
    say(f"{events:,} simulated events: built in {measured['build']['seconds']:.0f} s")
    measured["check"] = run_part("check", folder, data=str(data), database=str(folder / "warehouse.duckdb"))
    return measured


def machine() -> dict[str, Any]:
    """Return what the numbers depend on."""
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        model = found[1] if found else model
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "load_at_start": os.getloadavg()[0],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "duckdb_memory_limit": os.environ.get("MANYFACES_MEMORY_LIMIT", "4GB"),
        "versions": {name: version(name) for name in PACKAGES},
    }


# --- the report -----------------------------------------------------------------------------------


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table; the first column is text, the others are numbers."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines)


def seconds_text(seconds: float | None) -> str:
    """Return seconds with as many digits as say something."""
    if seconds is None:
        return ""
    return f"{seconds:.1f}" if seconds < 100 else f"{seconds:,.0f}"


def ratio_text(large: float | None, small: float | None) -> str:
    """Return how many times as large, where both are known and not too small to be compared."""
    return f"{large / small:.1f}" if large is not None and small is not None and small >= 0.05 else ""


def report(results: dict[str, Any]) -> str:
    """Return the results as Markdown."""
    about = results["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    parts = [
        f"{about['processor']}, {about['cores']} cores, {about['memory_gb']} GB, {about['system']}, "
        f"Python {about['python']}, {versions}; DuckDB memory limit {about['duckdb_memory_limit']}; "
        f"load average at start {about['load_at_start']:.1f}."
    ]
    sizes = results["sizes"]
    runs = {}
    if "default" in results:
        runs = {"default data, first": results["default"]["first"], "again": results["default"]["again"]}
    runs |= {f"{int(events):,} events": entry["build"] for events, entry in sizes.items() if "build" in entry}
    if runs:
        parts.append(stage_table(runs, [run for name, run in runs.items() if name.endswith(" events")]))
        for name, run in runs.items():
            slowest = ", ".join(
                f"{node['node']} {seconds_text(node['seconds'])}" for node in run["nodes"][:8]
            )
            parts.append(f"Slowest of {name}, seconds: {slowest}.")
            if run["failed"]:
                parts.append(f"**Not clean** ({name}): {', '.join(run['failed'])}.")
    if sizes:
        parts.append(bare_table(sizes))
    for events, entry in sizes.items():
        if "check" in entry:
            parts.append(check_text(int(events), entry["check"]))
    if "kmeans" in results:
        parts.append(kmeans_table(results["kmeans"]))
        parts.append(placing_text(results["placing"]))
    return "\n\n".join(parts) + "\n"


def stage_table(runs: dict[str, dict[str, Any]], scaled: list[dict[str, Any]]) -> str:
    """Return seconds by stage, with the last size in ratio to the first."""
    header = ["seconds", *runs]
    has_ratio = len(scaled) > 1
    if has_ratio:
        header.append("last / first size")
    kinds: list[tuple[str, Callable[[dict[str, Any]], float | None], Callable[[float | None], str]]] = []
    for stage in [
        *STAGES,
        *sorted({stage for run in runs.values() for stage in run["stages"]} - set(STAGES)),
    ]:
        for language in ("sql", "python"):

            def spent(run: dict[str, Any], stage: str = stage, language: str = language) -> float | None:
                return run["stages"].get(stage, {}).get(f"{language}_seconds") or None

            if any(spent(run) for run in runs.values()):
                kinds.append((f"{stage}, Python" if language == "python" else stage, spent, seconds_text))
    kinds += [
        ("dbt itself", lambda run: run["dbt_seconds"], seconds_text),
        ("**whole build**", lambda run: run["seconds"], seconds_text),
        ("its processor time", lambda run: run["cpu_seconds"], seconds_text),
        ("peak memory, MB", lambda run: run["peak_memory_mb"], lambda value: f"{value:,.0f}"),
        ("database, MB", lambda run: run["database_mb"], lambda value: f"{value:,.0f}"),
    ]
    rows = []
    for name, value, text in kinds:
        row = [name, *(text(value(run)) for run in runs.values())]
        if has_ratio:
            row.append(ratio_text(value(scaled[-1]), value(scaled[0])))
        rows.append(row)
    return table(header, rows)


def bare_table(sizes: dict[str, dict[str, Any]]) -> str:
    """Return the bare steps beside the SQL models of the same run."""
    header = ["bare DuckDB, seconds", *(f"{int(events):,} events" for events in sizes)]
    entries = list(sizes.values())
    rows = [[step, *(seconds_text(entry["bare"]["steps"][step]) for entry in entries)] for step in BARE_STEPS]
    bare = [sum(entry["bare"]["steps"].values()) for entry in entries]
    sql = [sql_model_seconds(entry["build"]) if "build" in entry else None for entry in entries]
    same = [same_question_seconds(entry["build"]) if "build" in entry else None for entry in entries]
    rows += [
        ["**sum of the steps**", *map(seconds_text, bare)],
        ["peak memory, MB", *(f"{entry['bare']['peak_memory_mb']:,.0f}" for entry in entries)],
        ["models of the build that answer the same questions", *map(seconds_text, same)],
        ["**same questions / bare**", *map(ratio_text, same, bare)],
        ["all SQL models of the build", *map(seconds_text, sql)],
        ["all SQL models / bare", *map(ratio_text, sql, bare)],
        ["writing the simulated files", *(seconds_text(entry["simulate"]["seconds"]) for entry in entries)],
        ["its peak memory, MB", *(f"{entry['simulate']['peak_memory_mb']:,.0f}" for entry in entries)],
    ]
    return table(header, rows)


def kmeans_table(measured: dict[str, Any]) -> str:
    """Return k-means of a segmentation beside scikit-learn called directly."""
    shapes = measured["shapes"]
    about = f"k-means, {measured['users']:,} users x {measured['dims']}, {measured['segments']} segments"
    rows = [
        [name, *(f"{entry[name]:.2f}" for entry in shapes.values())] for name in next(iter(shapes.values()))
    ]
    for ours, direct in (
        ("last fit", "scikit-learn, one start"),
        ("whole fit", "scikit-learn, ten starts"),
    ):
        ratios = (f"{entry[ours] / entry[direct]:.2f}" for entry in shapes.values())
        rows.append([f"**{ours} / {direct}**", *ratios])
    rows.append(["peak memory, MB", f"{measured['peak_memory_mb']:,.0f}", *[""] * (len(shapes) - 1)])
    return table([f"{about}, seconds", *shapes], rows)


def placing_text(measured: dict[str, Any]) -> str:
    """Say what placing users by SQL takes."""
    about = f"{measured['placed']:,} users x {measured['dims']} in {measured['segments']} segments"
    memory = f"{measured['peak_memory_mb']:,.0f} MB, making the users included"
    return f"Placing {about} by SQL alone: {measured['seconds']:.1f} s, peak memory {memory}."


def check_text(events: int, check: dict[str, Any]) -> str:
    """Say whether the build found what was planted."""
    if check["planted"] == check["found"]:
        rows = sum(check["planted"].values())
        dirt = f"all {rows:,} planted rows were rejected for the planted reason, and no other"
    else:
        dirt = f"**rejected rows differ**: planted {check['planted']}, found {check['found']}"
    agreement = ", ".join(f"{name} {value:.2f}" for name, value in check["agreement"].items())
    return (
        f"{events:,} events: {dirt}. Adjusted Rand index against the planted segments: "
        f"{agreement or 'no segments'}."
    )


def main() -> int:
    """Measure what the options ask for. Returns 1 if a build was not clean."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--sizes", type=int, nargs="*", default=[1_000_000, 10_000_000], metavar="EVENTS", help="%(default)s"
    )
    parser.add_argument("--skip-default", action="store_true", help="leave out the build on the bundled data")
    parser.add_argument("--skip-kmeans", action="store_true", help="leave out k-means and placing by SQL")
    parser.add_argument(
        "--bare-only", action="store_true", help="for the sizes, simulate and bare DuckDB only"
    )
    parser.add_argument(
        "--folder", type=Path, help="where the temporary folder is made (default: the system's)"
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep the temporary folder: data, databases, logs"
    )
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--options", type=json.loads, default={}, help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        options.result.write_text(json.dumps(PARTS[options.part](**options.options)))
        return 0

    results: dict[str, Any] = {"machine": machine(), "sizes": {}}
    folder = Path(tempfile.mkdtemp(prefix="manyfaces-bench-", dir=options.folder))
    try:
        if not options.skip_default and not options.bare_only:
            results["default"] = measure_default(folder / "default")
        for events in sorted(set(options.sizes)):
            results["sizes"][str(events)] = measure_size(folder / str(events), events, options.bare_only)
            if not options.keep:
                shutil.rmtree(folder / str(events))
        if not options.skip_kmeans:
            say("k-means beside scikit-learn")
            results["kmeans"] = run_part("kmeans", folder, users=100_000, dims=64, segments=10)
            say("placing users in segments by SQL")
            results["placing"] = run_part(
                "placing",
                folder,
                users=1_000_000,
                dims=64,
                segments=10,
                database=str(folder / "placing.duckdb"),
            )
    finally:
        if options.keep:
            say(f"kept {folder}")
        else:
            shutil.rmtree(folder)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    print(report(results))
    runs = [
        *results.get("default", {}).values(),
        *(entry.get("build", {}) for entry in results["sizes"].values()),
    ]
    return 1 if any(run.get("failed") for run in runs) else 0


if __name__ == "__main__":
    raise SystemExit(main())
