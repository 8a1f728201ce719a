"""The phrases of the project in each language."""

import polars as pl
from conftest import PROJECT

from manyfaces.phrases import Phrases

SEED = pl.read_csv(PROJECT / "seeds" / "phrases.csv")
ENGLISH, CHINESE = Phrases(SEED, "en"), Phrases(SEED, "zh")
