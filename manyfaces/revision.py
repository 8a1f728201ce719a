"""Which commit a project is at, where git knows it."""

import os
import subprocess
from pathlib import Path


def git_revision(folder: Path | str) -> str | None:
    """Return the commit of the dbt project in a folder, "-dirty" after it if tracked files differ, else None.

    None: there is no git, the folder is in no repository, or in one that does not know the project.
    """
    return (
        _git(folder, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
        if _git(folder, "ls-files", "--error-unmatch", "dbt_project.yml")
        else None
    )


def _git(folder: Path | str, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            # Looking must not write: git would refresh its index.
            env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
