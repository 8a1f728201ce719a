"""Adapter of item text vectors: moves texts together that the same users took, and leaves the encoder frozen.

A vector v becomes the direction of v + B A v, with A and B of a low rank (as in Hu et al. 2022, LoRA, but
behind the encoder instead of inside it). B starts at 0, that is, at the frozen vectors. Training lowers
InfoNCE (van den Oord, Li & Vinyals 2018): of all texts in a batch, find the one that goes with this one. The
others in the batch occur as often as they do in the pairs, so that a text gains nothing by being popular.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import torch
from scipy import sparse
from torch import nn
from torch.nn import functional

from manyfaces.embeddings.descent import DescentParameters, descend
from manyfaces.embeddings.parameters import setting
from manyfaces.embeddings.pooling import round_vectors
from manyfaces.embeddings.training import fixed_threads
from manyfaces.store import Artifact

MODEL_VERSION = "text-adapter-1"
VALIDATION_SHARE = 0.1
# The partner in a held-out pair is ranked among so many texts.
CANDIDATES = 100
MAX_QUESTIONS = 20_000
BLOCK_QUESTIONS = 256


@dataclass(frozen=True, kw_only=True)
class AdapterParameters(DescentParameters):
    """Parameters of an adapter; see DescentParameters for the others.

    Attributes:
        rank: Rank of the change; the adapter has 2 * rank * length of a vector weights.
        temperature: Cosines are divided by it before the softmax.
        max_pairs_per_user: Pairs that are drawn from one user, at most.
        max_pairs: Pairs in all, at most.
    """

    max_epochs: int = setting(20, low=1)
    patience: int = setting(2, low=1)
    learning_rate: float = setting(0.001, above=0)
    batch_size: int = setting(512, low=2)
    rank: int = setting(32, low=1)
    temperature: float = setting(0.2, above=0)
    max_pairs_per_user: int = setting(200, low=1)
    max_pairs: int = setting(500_000, low=1)


def sample_pairs(
    user_text_weights: sparse.csr_array, max_pairs_per_user: int, max_pairs: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw pairs of different texts that one user took.

    Texts are drawn in proportion to their lift, the text's share of the user's weights over its share of all
    weights: what everybody takes says little about what goes together. A user with few texts gives no more
    pairs than can be made of them; where all users together would give too many, a random sample does.

    Args:
        user_text_weights: Users x texts (n, t), how much of each text a user took up (any unit from 0 up).
        max_pairs_per_user: Pairs that are drawn from one user, at most.
        max_pairs: Pairs in all, at most.
        seed: Seed of the sample.

    Returns:
        Pairs of texts, int64 (p, 2), and the users (p,) that they are of, in ascending order.
    """
    taken = sparse.csr_array(user_text_weights, dtype=np.float64)
    taken.eliminate_zeros()
    taken.sort_indices()
    random = np.random.default_rng(seed)
    texts = np.diff(taken.indptr).astype(np.int64)
    wanted = np.minimum(texts * (texts - 1) // 2, max_pairs_per_user)
    order = random.permutation(len(texts))
    chosen = np.sort(order[: np.searchsorted(np.cumsum(wanted[order]), max_pairs, side="right")])
    users = np.repeat(chosen, wanted[chosen])
    # Within a user the user's own total does not change what is drawn.
    lift = taken.data / taken.sum(axis=0)[taken.indices]
    pairs = np.stack([_draw(taken, lift, users, random) for _ in range(2)], axis=1)
    differ = pairs[:, 0] != pairs[:, 1]
    return pairs[differ], users[differ]


def _draw(
    taken: sparse.csr_array, lift: np.ndarray, users: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Return a text (p,) of each of the users, in proportion to the lift of the user's cells."""
    first, last = taken.indptr[users], taken.indptr[users + 1] - 1
    reached = np.concatenate([[0.0], np.cumsum(lift)])
    aimed = reached[first] + random.random(len(users)) * (reached[last + 1] - reached[first])
    # Rounding may aim just beside the user's cells.
    cells = np.clip(np.searchsorted(reached, aimed, side="right") - 1, first, last)
    return taken.indices[cells].astype(np.int64)


def fit_adapter(
    vectors: np.ndarray, user_text_weights: sparse.csr_array, parameters: AdapterParameters
) -> Artifact:
    """Train an adapter until it no longer finds the pairs of held-out users better.

    A tenth of the users is held out. The metrics say how well one text of their pairs is found from the
    other, by cosine, among CANDIDATES texts, the rest of them from other held-out pairs: mean reciprocal
    rank, and AUC, the share of the rest that it beats; with the frozen and with the adapted vectors.

    Args:
        vectors: Frozen vectors of the texts (t, d).
        user_text_weights: Users x texts (n, t), see sample_pairs.
        parameters: See AdapterParameters.

    Returns:
        Arrays down (rank, d) and up (d, rank); none if too few users have two texts to hold any out, so that
        the vectors stay as they are.

    Raises:
        ValueError: If the number of texts differs.
    """
    if user_text_weights.shape[1] != len(vectors):
        raise ValueError(
            f"The weights name {user_text_weights.shape[1]} texts, but there are {len(vectors)} vectors."
        )
    pairs, users = sample_pairs(
        user_text_weights, parameters.max_pairs_per_user, parameters.max_pairs, parameters.seed
    )
    meta = {
        "algorithm": "contrastive adapter of text vectors, InfoNCE",
        "parameters": asdict(parameters),
        "rows": len(vectors),
        "metrics": {"pairs": len(pairs)},
        "log": [],
    }
    random = np.random.default_rng(parameters.seed)
    owners = random.permutation(np.unique(users))
    is_held_out = np.isin(users, owners[: int(len(owners) * VALIDATION_SHARE)])
    if not is_held_out.any():
        return Artifact({}, meta)
    with fixed_threads():
        return _train(vectors, pairs[~is_held_out], pairs[is_held_out], parameters, random, meta)


def apply_adapter(vectors: np.ndarray, artifact: Artifact) -> np.ndarray:
    """Return the adapted vectors (t, d; float32, length 1 or 0, 6 digits); any texts, seen in the fit or not.

    An adapter without weights returns the vectors as they are.

    Raises:
        ValueError: If the vectors are of another length than those of the fit.
    """
    if not artifact.arrays:
        return vectors
    down, up = artifact.arrays["down"], artifact.arrays["up"]
    if vectors.shape[1] != down.shape[1]:
        raise ValueError(f"The adapter reads vectors of length {down.shape[1]}, not {vectors.shape[1]}.")
    with fixed_threads(), torch.inference_mode():
        adapter = _Adapter(torch.from_numpy(down), torch.from_numpy(up))
        return round_vectors(adapter(torch.from_numpy(vectors)).numpy())


class _Adapter(nn.Module):
    def __init__(self, down: torch.Tensor, up: torch.Tensor) -> None:
        super().__init__()
        self.down, self.up = nn.Parameter(down), nn.Parameter(up)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        return functional.normalize(vectors + vectors @ self.down.T @ self.up.T)


def _train(
    vectors: np.ndarray,
    training: np.ndarray,
    held_out: np.ndarray,
    parameters: AdapterParameters,
    random: np.random.Generator,
    meta: dict,
) -> Artifact:
    frozen = torch.from_numpy(vectors)
    dims = vectors.shape[1]
    generator = torch.Generator().manual_seed(parameters.seed)
    down = torch.randn((parameters.rank, dims), generator=generator) / dims**0.5
    adapter = _Adapter(down, torch.zeros((dims, parameters.rank)))
    steps = -(-len(training) // parameters.batch_size)

    def losses() -> Iterator[torch.Tensor]:
        for chosen in np.array_split(random.permutation(len(training)), steps):
            yield contrastive_loss(adapter, frozen, training[chosen], parameters.temperature)

    blocks = np.array_split(held_out, -(-len(held_out) // parameters.batch_size))

    def validate() -> float:
        return float(
            np.mean([contrastive_loss(adapter, frozen, block, parameters.temperature) for block in blocks])
        )

    questions = _questions(held_out, random)
    frozen_metrics = _retrieval(functional.normalize(frozen), questions, "frozen")
    course = descend(adapter, losses, validate, steps, parameters, "text adapter")
    with torch.inference_mode():
        adapted_metrics = _retrieval(adapter(frozen), questions, "adapted")
    meta["log"] = course.log
    meta["metrics"] |= (
        frozen_metrics
        | adapted_metrics
        | {
            "epochs": len(course.log),
            "best_epoch": course.best_epoch,
            "validation_loss": round(course.best_loss, 6),
            "held_out_pairs": len(held_out),
            "trainable_parameters": sum(weight.numel() for weight in adapter.parameters()),
        }
    )
    return Artifact({name: weight.numpy() for name, weight in adapter.state_dict().items()}, meta)


def contrastive_loss(
    adapter: nn.Module, vectors: torch.Tensor, pairs: np.ndarray, temperature: float
) -> torch.Tensor:
    """Return InfoNCE of pairs (b, 2), in nats: find the second text from the first, and the other way round.

    The text that is asked for and the one that asks are no wrong answers where they occur in other pairs.
    """
    first, second = torch.from_numpy(pairs).T
    similarities = adapter(vectors[first]) @ adapter(vectors[second]).T / temperature
    right = torch.arange(len(pairs))
    forward = similarities.masked_fill(_no_answers(first, second), -torch.inf)
    backward = similarities.T.masked_fill(_no_answers(second, first), -torch.inf)
    return (functional.cross_entropy(forward, right) + functional.cross_entropy(backward, right)) / 2


def _no_answers(asking: torch.Tensor, asked_for: torch.Tensor) -> torch.Tensor:
    """Return which texts of other pairs (b, b) are neither right nor wrong."""
    others = ~torch.eye(len(asking), dtype=torch.bool)
    return others & ((asked_for == asking[:, None]) | (asked_for == asked_for[:, None]))


def _questions(held_out: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return (q, 1 + CANDIDATES): a text, its partner, and the partners in other pairs."""
    asked = random.permutation(held_out)[:MAX_QUESTIONS]
    others = held_out[random.integers(0, len(held_out), (len(asked), CANDIDATES - 1)), 1]
    return np.concatenate([asked, others], axis=1)


def _retrieval(vectors: torch.Tensor, questions: np.ndarray, name: str) -> dict[str, float]:
    """Return mean reciprocal rank and AUC of the partners; a tie counts half."""
    reciprocal, beaten, counted = 0.0, 0.0, 0
    for block in np.array_split(questions, -(-len(questions) // BLOCK_QUESTIONS)):
        texts = torch.from_numpy(block)
        similarities = (vectors[texts[:, 1:]] @ vectors[texts[:, 0], :, None]).squeeze(-1)
        # Neither the text itself nor its partner is a wrong answer.
        wrong = (texts[:, 2:] != texts[:, :1]) & (texts[:, 2:] != texts[:, 1:2])
        above, ties = (
            (compare(similarities[:, 1:], similarities[:, :1]) & wrong).sum(dim=1).double()
            for compare in (torch.gt, torch.eq)
        )
        better = above + ties / 2
        reciprocal += (1 / (1 + better)).sum().item()
        beaten += (wrong.sum(dim=1) - better).sum().item()
        counted += int(wrong.sum())
    return {
        f"{name}_mean_reciprocal_rank": round(reciprocal / len(questions), 6),
        f"{name}_auc": round(beaten / counted, 6) if counted else 0.5,
    }
