"""How well segments foretell what their users do next: the judge of candidates."""

from collections.abc import Callable

import numpy as np
from scipy import sparse

from manyfaces.segments.quality import segment_means
from manyfaces.segments.users import nearest_centre


def explained_share(outcomes: sparse.csr_array, groups: np.ndarray) -> float:
    """Return how much of the variance of outcomes lies between groups: epsilon squared (Kelley 1935).

    Eta squared is the sum of squares between the groups over the whole one, here summed over all columns;
    epsilon squared corrects it for what as many groups would explain by chance, and can fall below 0.

    Args:
        outcomes: (n, c) numbers.
        groups: (n,) integers from 0.

    Returns:
        The share, NaN if nothing varies or there are no more users than groups.
    """
    users, found = len(groups), np.unique(groups)
    if users <= len(found):
        return float("nan")
    mean = np.asarray(outcomes.mean(axis=0)).ravel()
    total = float(outcomes.multiply(outcomes).sum() - users * (mean @ mean))
    if total <= 1e-12 * users:
        return float("nan")
    codes = np.searchsorted(found, groups)
    means = segment_means(outcomes, codes, len(found))
    means = means.toarray() if sparse.issparse(means) else means
    between = float((np.bincount(codes)[:, None] * np.square(means)).sum() - users * (mean @ mean))
    return 1 - (1 - between / total) * (users - 1) / (users - len(found))


def outlook_judge(
    vectors: np.ndarray, past_vectors: np.ndarray, outcomes: sparse.csr_array
) -> Callable[[np.ndarray], float]:
    """Return a judge of labels: how much of what users did next their past, put into the segments, explains.

    Users are placed by vectors of some weeks ago in the segment with the nearest centre, and what they did
    since is compared between the segments (`explained_share`). The centres are those of today: a few numbers
    over all users that know the last weeks; where a single user is placed does not.

    Args:
        vectors: (n, d) vectors of today, of which labels are given.
        past_vectors: (n, d) vectors of some weeks ago in the same space; NaN for users without a past.
        outcomes: (n, c) shares of what users did since; rows of zeros for users who did nothing.
    """
    rows = np.flatnonzero(np.isfinite(past_vectors).all(axis=1) & (np.diff(outcomes.indptr) > 0))

    def judge(labels: np.ndarray) -> float:
        inside = labels >= 0
        found, codes = np.unique(labels[inside], return_inverse=True)
        if len(found) < 2 or not len(rows):
            return float("nan")
        centres = segment_means(vectors[inside].astype(np.float64), codes, len(found))
        return explained_share(outcomes[rows], nearest_centre(past_vectors[rows], centres))

    return judge
