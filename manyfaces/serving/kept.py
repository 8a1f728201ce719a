"""Builds that were published before stay for a while, as many as somebody asked for."""

import os
import re
import shutil
from pathlib import Path

import duckdb

from manyfaces.errors import UserError
from manyfaces.serving.disk import flush
from manyfaces.serving.warehouse import Build, Marts

_STAMP = r"\d{4}-\d{2}-\d{2}_\d{6}_\d{6}"


def kept_folder(target: Path) -> Path:
    """Return the folder of the earlier builds of a published file: serving_builds for serving.duckdb."""
    return target.with_name(f"{target.stem}_builds")


def keep_build(target: Path, next_build: Build, kept_builds: int, unfinished: Path) -> None:
    """Give the published file a second name, by the time of its build, before another takes its place.

    Args:
        target: the published file. If it does not say which build it is, it is not kept.
        next_build: what takes its place; if it is the same build, nothing is kept.
        kept_builds: how many are wanted.
        unfinished: a name beside the target for a file that is not whole yet.
    """
    if kept_builds < 1 or not target.is_file():
        return
    try:
        with duckdb.connect(target, read_only=True) as connection:
            build = Marts(connection).build()
    except (duckdb.Error, UserError):
        return
    if build.run_id == next_build.run_id:
        return
    folder = kept_folder(target)
    folder.mkdir(exist_ok=True)
    kept = folder / f"{target.stem}_{build.stamp}{target.suffix}"
    copy = unfinished.with_name(unfinished.name + ".kept")
    try:
        os.link(target, copy)
    except OSError:
        # A file system without hard links.
        shutil.copyfile(target, copy)
    os.replace(copy, kept)
    flush(folder)


def remove_oldest(target: Path, kept_builds: int) -> None:
    """Remove the oldest of the kept builds beyond so many; files with other names are nobody's business."""
    folder = kept_folder(target)
    if not folder.is_dir():
        return
    name = re.compile(rf"{re.escape(target.stem)}_{_STAMP}{re.escape(target.suffix)}")
    builds = sorted(path for path in folder.iterdir() if name.fullmatch(path.name))
    for path in builds[: max(len(builds) - kept_builds, 0)]:
        path.unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()
