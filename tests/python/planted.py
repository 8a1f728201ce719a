"""Planted tastes: users of a few groups who take items of their group, and some of all."""

import numpy as np
from scipy import sparse


def planted_tastes(
    users: int = 300, items: int = 120, groups: int = 3, taken: int = 8, own_share: float = 0.9, seed: int = 5
) -> tuple[sparse.csr_array, sparse.csr_array, np.ndarray]:
    """Give what users took before and after (half of it each), and the group of each user.

    The group of an item is its number modulo `groups`; a low number is taken more often within its group.
    """
    random = np.random.default_rng(seed)
    owners = np.arange(users) % groups
    popularity = 1 / (5 + np.arange(items))
    before, after = np.zeros((users, items), np.float32), np.zeros((users, items), np.float32)
    for user, owner in enumerate(owners):
        chances = popularity * np.where(np.arange(items) % groups == owner, own_share, 1 - own_share)
        chosen = random.choice(items, 2 * taken, replace=False, p=chances / chances.sum())
        before[user, chosen[:taken]] = random.uniform(0.5, 2, taken)
        after[user, chosen[taken:]] = 1
    return sparse.csr_array(before), sparse.csr_array(after), owners


def scores_of(blocks) -> np.ndarray:
    """Stack score blocks."""
    return np.vstack([scores for _, scores in blocks])


def hit_share(scores: np.ndarray, before: sparse.csr_array, after: sparse.csr_array, count: int = 8) -> float:
    """Give the share of the best new items that came after."""
    scores = np.where(before.toarray() > 0, -np.inf, scores)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    return float(np.take_along_axis(after.toarray(), best, axis=1).mean())


def popularity_hit_share(before: sparse.csr_array, after: sparse.csr_array, count: int = 8) -> float:
    """Give what the most taken items reach."""
    popular = np.tile((before > 0).toarray().sum(axis=0).astype(float), (before.shape[0], 1))
    return hit_share(popular, before, after, count)
