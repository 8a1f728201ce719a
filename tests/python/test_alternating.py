"""Implicit ALS against its closed form, its objective, and planted tastes of groups."""

from dataclasses import replace

import numpy as np
import pytest
from planted import hit_share, planted_tastes, popularity_hit_share, scores_of
from scipy import sparse

from manyfaces.recommendations import alternating
from manyfaces.recommendations.alternating import AlternatingParameters, fit, score_blocks, solve_rows

PARAMETERS = AlternatingParameters(dims=4, iterations=8, unobserved=0.3, regularisation=0.03)


def closed_form(matrix, fixed, penalty, unobserved, priors):
    rows = []
    for weights, own_penalty, prior in zip(matrix.toarray(), penalty, priors, strict=True):
        system = (fixed * (weights[:, None] + unobserved)).T @ fixed + own_penalty * np.eye(fixed.shape[1])
        rows.append(np.linalg.solve(system, fixed.T @ weights + own_penalty * prior))
    return np.array(rows)


@pytest.mark.parametrize("block_values", [40, 2**22])
def test_rows_are_solved_as_by_the_closed_form(monkeypatch, block_values):
    monkeypatch.setattr(alternating, "BLOCK_VALUES", block_values)
    random = np.random.default_rng(0)
    values = random.uniform(0.5, 2, (30, 20)) * (random.random((30, 20)) < random.random((30, 1)))
    values[4] = 0
    matrix = sparse.csr_array(values.astype(np.float32))
    fixed = random.standard_normal((20, 5)).astype(np.float32)
    penalty = random.uniform(0.5, 3, 30).astype(np.float32)
    priors = random.standard_normal((30, 5)).astype(np.float32)
    start = np.zeros((30, 5), np.float32)
    found = solve_rows(matrix, fixed, start, penalty, 0.3, 12, priors)
    np.testing.assert_allclose(found, closed_form(matrix, fixed, penalty, 0.3, priors), atol=2e-4)


def objective(matrix, factors, parameters):
    dense = matrix.toarray().astype(np.float64)
    dense /= dense[dense > 0].mean()
    products = factors.users.astype(np.float64) @ factors.items.T
    fit_loss = (dense * (products - 1) ** 2).sum() + parameters.unobserved * np.square(products).sum()
    for side, axis in ((factors.users, 1), (factors.items, 0)):
        known = dense.sum(axis=axis) + parameters.unobserved * dense.shape[axis]
        fit_loss += parameters.regularisation * (known * np.square(side).sum(axis=1)).sum()
    return fit_loss


def test_every_iteration_lowers_the_objective():
    before, _, _ = planted_tastes()
    losses = []
    for iterations in range(1, 6):
        parameters = AlternatingParameters(dims=8, iterations=iterations)
        losses.append(objective(before, fit(before, parameters), parameters))
    assert (np.diff(losses) < 0).all()


def test_planted_tastes_are_found():
    before, after, _ = planted_tastes()
    found = hit_share(scores_of(score_blocks(fit(before, PARAMETERS), block_users=70)), before, after)
    assert found > 1.3 * popularity_hit_share(before, after)


def test_group_vectors_help_members_of_whom_little_is_known():
    before, after, groups = planted_tastes(taken=2, own_share=0.95)
    alone = max(
        hit_share(
            scores_of(score_blocks(fit(before, replace(PARAMETERS, regularisation=value)))), before, after, 2
        )
        for value in (0.01, 0.03, 0.1)
    )
    together = hit_share(scores_of(score_blocks(fit(before, PARAMETERS, groups))), before, after, 2)
    assert together > 1.2 * alone


def test_a_member_without_a_history_has_the_taste_of_the_group():
    before, _, groups = planted_tastes()
    before = before.toarray()
    before[7] = 0
    parameters = AlternatingParameters(dims=8, iterations=20, unobserved=1e-6, steps=20)
    factors = fit(sparse.csr_array(before), parameters, groups)
    scores = scores_of(score_blocks(factors))[7].reshape(-1, 3).mean(axis=0)
    assert scores.argmax() == groups[7]
    ungrouped = np.where(np.arange(len(groups)) == 7, -1, groups)
    factors = fit(sparse.csr_array(before), parameters, ungrouped)
    assert not factors.users[7].any()


def test_the_same_seed_gives_the_same_vectors():
    before, _, groups = planted_tastes()
    first, second = (fit(before, PARAMETERS, groups) for _ in range(2))
    np.testing.assert_array_equal(first.users, second.users)
    np.testing.assert_array_equal(first.items, second.items)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (4, 0), (1, 1), (3, 5)])
def test_nothing_known_gives_zeros(shape):
    factors = fit(sparse.csr_array(shape, dtype=np.float32), PARAMETERS, np.zeros(shape[0], np.int64))
    assert not factors.users.any()
    assert sum(len(scores) for _, scores in score_blocks(factors)) == shape[0]
