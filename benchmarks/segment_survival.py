"""How many users keep their segment from one wall to the next, four weeks apart, on The Complete Journey.

    python benchmarks/segment_survival.py            kept encoders, segments refitted from the last centres
    python benchmarks/segment_survival.py --retrain  every encoder trained anew at every wall

Builds the segments at four walls into a temporary database and prints, for each segmentation and step, the
share of the users of both walls whose segment id is the same. Users in no segment count like a segment.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb

ROOT = Path(__file__).resolve().parents[1]
WALLS = ("2017-10-09", "2017-11-06", "2017-12-04", "2018-01-01")
MODELS = "+segment_dates +segmentation_candidates"
SURVIVAL = """
    with dated as (
        select
            *,
            dense_rank() over (order by as_of) as wall
        from segments.segment_dates
    )
    select
        after.segmentation,
        after.as_of::date as wall,
        count(*) as users,
        count(distinct after.segment_id) as segments,
        round(avg((before.segment_id = after.segment_id)::int), 3) as kept
    from dated as after
    inner join dated as before
        on after.segmentation = before.segmentation
        and after.user_key = before.user_key
        and after.wall = before.wall + 1
    group by all
    order by all
"""
CHAMPIONS = """
    select segmentation, candidate, stability, silhouette, smallest_share
    from marts.segmentation_candidates where is_champion order by 1
"""


def build(folder: Path, wall: str, settings: dict) -> None:
    """Build the segments of one wall."""
    variables = {"as_of": wall, "store_dir": str(folder / "store")} | settings
    command = [sys.executable, "-m", "dbt.cli.main", "--quiet", "run", "--select", *MODELS.split()]
    if not (folder / "warehouse.duckdb").exists():
        command[4] = "build"  # with the seeds
        command += ["--exclude-resource-type", "test", "--exclude-resource-type", "unit_test"]
    environment = {
        "MANYFACES_DATABASE": str(folder / "warehouse.duckdb"),
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
    }
    subprocess.run(
        [*command, "--vars", json.dumps(variables)], cwd=ROOT, env=os.environ | environment, check=True
    )


def main() -> None:
    """Build the walls and print what became of the segments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--retrain", action="store_true", help="train every encoder at every wall")
    parser.add_argument("--vars", type=json.loads, default={}, help="settings as JSON")
    parser.add_argument("--folder", type=Path, help="where to build; a temporary folder if not given")
    options = parser.parse_args()
    settings = options.vars | ({"retrain_when": "always"} if options.retrain else {})
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for wall in WALLS:
            build(folder, wall, settings)
        with duckdb.connect(folder / "warehouse.duckdb", read_only=True) as connection:
            for query in (SURVIVAL, CHAMPIONS):
                print(connection.sql(query))


if __name__ == "__main__":
    main()
