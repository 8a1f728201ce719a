"""Takes the pictures of the report that the documentation shows."""

import argparse
import io
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from manyfaces.errors import UserError
from manyfaces.report import write_report
from manyfaces.report.browser import Browser

WIDTH, HEIGHT, SCALE = 1200, 900, 1.5


@dataclass(frozen=True)
class Picture:
    """One picture: what part of which report, in which colours."""

    name: str
    language: str
    is_dark: bool
    selectors: tuple[str, ...]
    height: int | None = None


PICTURES = (
    Picture("report_light", "en", False, (".top", ".map-and-sizes")),
    Picture("report_dark", "en", True, (".top", ".map-and-sizes")),
    Picture("report_chinese_light", "zh", False, (".top", ".map-and-sizes")),
    Picture("report_chinese_dark", "zh", True, (".top", ".map-and-sizes")),
    Picture("report_segment", "en", False, ("#segment-s0-1", "#segment-s0-2")),
    Picture("report_changes", "en", False, ("#changes", "#changes .matrix"), 1080),
    Picture("report_recommendations", "en", True, ("#recommendations .user",)),
    Picture("report_quality", "en", False, ("#quality", "#quality .chart"), 960),
)


def take(database: Path, folder: Path, names: Sequence[str] = ()) -> list[Path]:
    """Take pictures of the report of a published file.

    Args:
        database: the file that `manyfaces publish` wrote.
        folder: where the pictures go.
        names: of the pictures to take; all of them by default.

    Raises:
        UserError: the browser is not installed, or the report cannot be written.
    """
    wanted = [picture for picture in PICTURES if not names or picture.name in names]
    folder.mkdir(parents=True, exist_ok=True)
    taken = []
    with tempfile.TemporaryDirectory() as temporary, Browser() as browser:
        pages = {}
        for language in sorted({picture.language for picture in wanted}):
            pages[language] = write_report(database, Path(temporary) / f"{language}.html", language).path
        for picture in wanted:
            browser.open(pages[picture.language], WIDTH, HEIGHT, is_dark=picture.is_dark, scale=SCALE)
            # Without a history there is no table of moves, without a backtest no chart of strategies.
            if not browser.run(
                "return arguments[0].every((each) => document.querySelector(each))", list(picture.selectors)
            ):
                print(f"{picture.name}: this build has nothing to show there", file=sys.stderr)
                continue
            path = folder / f"{picture.name}.png"
            path.write_bytes(_smaller(browser.picture(*picture.selectors, height=picture.height)))
            taken.append(path)
    return taken


def _smaller(png: bytes) -> bytes:
    """Return a picture with 256 colours, a third of the bytes."""
    from PIL import Image

    found = io.BytesIO()
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.quantize(256, dither=Image.Dither.NONE).save(found, "PNG", optimize=True)
    return found.getvalue()


def main() -> int:
    """Run `python -m manyfaces.report.pictures`."""
    parser = argparse.ArgumentParser(prog="python -m manyfaces.report.pictures", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="pictures to take; default: all")
    parser.add_argument("--database", metavar="FILE", type=Path, default=Path("serving.duckdb"))
    parser.add_argument("--to", dest="folder", metavar="FOLDER", type=Path, default=Path("docs/pictures"))
    options = parser.parse_args()
    known = [picture.name for picture in PICTURES]
    try:
        if unknown := sorted(set(options.names) - set(known)):
            raise UserError(f"there is no picture {', '.join(unknown)}: there are {', '.join(known)}")
        for path in take(options.database, options.folder, options.names):
            print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")
    except UserError as error:
        print(f"manyfaces: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
