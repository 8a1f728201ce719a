"""Keeps the thread pools of torch, BLAS and DuckDB from fighting over few cores."""

import os


def set_thread_environment() -> None:
    """Let idle OpenMP threads sleep instead of spinning.

    Must run before torch or scikit-learn load their OpenMP library, because the library reads the
    variables once. Beside other busy threads a spinning pool made a training step 16 times slower.
    Values that the user has set are kept.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
