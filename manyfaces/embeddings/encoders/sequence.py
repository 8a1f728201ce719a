"""Encoder of the order in which users took items: it guesses items and needs no labels.

* `transformer`: items at random places are hidden and guessed from those on both sides of them (BERT4Rec; Sun
  et al. 2019, the cloze task of Devlin et al. 2019). A user's vector is the mean of the hidden states.
* `gru`: the next item is guessed from those before it (GRU4Rec; Hidasi et al. 2016). A user's vector is the
  last state.

The guess is a softmax over all items of the vocabulary, but only at a share of the places, which keeps a step
as cheap as one with sampled items. Nothing is hidden and nothing is random when users are encoded.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import torch
from torch.nn import functional

from manyfaces.embeddings.descent import DescentParameters, descend
from manyfaces.embeddings.encoders.base import UserHistory
from manyfaces.embeddings.encoders.sequence_networks import RecurrentNetwork, SequenceNetwork, Transformer
from manyfaces.embeddings.encoders.sequence_rows import (
    Guesses,
    Rows,
    augmented,
    hidden_items,
    item_to_come,
    most_frequent_items,
    newest_item,
    newest_items,
    next_items,
)
from manyfaces.embeddings.parameters import setting
from manyfaces.embeddings.pooling import round_vectors
from manyfaces.embeddings.training import fixed_threads
from manyfaces.store import Artifact

version = "sequence-1"
VALIDATION_SHARE = 0.1
MAX_VALIDATION_ROWS = 2000
# A guessed item stays visible in training at this share of the places, as in BERT: vectors come from states
# at visible items. Without, training on The Complete Journey hardly gets below the loss of popularity.
VISIBLE_SHARE = 0.1
# Every pass through a network has as many rows, so that a user's vector does not depend on who is beside.
BLOCK_ROWS = 256
HITS_AT = 10

Architecture = Literal["transformer", "gru"]


@dataclass(frozen=True, kw_only=True)
class Parameters(DescentParameters):
    """Parameters of `sequence`; see DescentParameters for the others.

    Attributes:
        architecture: transformer (masked items) or gru (next item).
        dims: Length of a user's vector, and of an item's in the network.
        layers: Layers of the transformer, or recurrent ones.
        heads: Heads of each layer of the transformer.
        max_items: The items that occur most in the sequences are the vocabulary, so many at most.
        max_length: Newest items of a user that are read, at most.
        max_training_users: Users in training and validation; a random sample by seed if there are more.
        mask_share: Share of a sequence's places at which the item is to be guessed, in each epoch anew. The
            transformer does not see these items.
        item_dropout: Augmentation: share of a sequence's items that is left out, in each epoch anew.
        crop_share: Augmentation: share of the sequences of which, in each epoch anew, a random window is
            read, half to all as long, and not the newest items.
        dropout: Share of hidden values that is set to 0 in training.
    """

    architecture: Architecture = "transformer"
    dims: int = setting(64, low=1)
    layers: int = setting(2, low=1)
    heads: int = setting(2, low=1)
    max_items: int = setting(4000, low=1)
    max_length: int = setting(50, low=2)
    max_training_users: int = setting(10_000, low=1)
    mask_share: float = setting(0.4, above=0, below=1)
    item_dropout: float = setting(0.1, low=0, below=1)
    crop_share: float = setting(0.5, low=0, high=1)
    dropout: float = setting(0.1, low=0, below=1)

    def __post_init__(self) -> None:
        """Refuse what does not go together.

        Raises:
            ValueError: If there is no such architecture, or the dimensions cannot be shared out to the heads.
        """
        if self.architecture not in ("transformer", "gru"):
            raise ValueError(f"Unknown architecture '{self.architecture}': take transformer or gru.")
        if self.architecture == "transformer" and self.dims % self.heads:
            raise ValueError(f"dims is {self.dims} but must be a multiple of heads, {self.heads}.")


def fit(history: UserHistory, parameters: Parameters) -> Artifact:
    """Train on the sequences of a history; see Encoder.

    Users with fewer than two items of the vocabulary teach nothing. A tenth of the others is left out: their
    loss (nats per guessed item) decides when training stops, and their newest item is guessed from the ones
    before it for the metrics, which are absent if there are too few users to leave any out.
    """
    vocabulary = most_frequent_items(history, parameters.max_items)
    meta = {
        "algorithm": f"self-supervised sequence encoder, {parameters.architecture}",
        "parameters": asdict(parameters),
        "rows": len(history.sequence_offsets) - 1,
        "metrics": {},
        "log": [],
    }
    history = history.aligned(vocabulary)
    random = np.random.default_rng(parameters.seed)
    teaching = np.flatnonzero(np.diff(history.sequence_offsets) > 1)
    rows = random.permutation(teaching)[: parameters.max_training_users]
    if not len(rows):
        return Artifact({"item_ids": vocabulary}, meta)
    left_out = min(int(len(rows) * VALIDATION_SHARE), MAX_VALIDATION_ROWS)
    # Too few users to leave any out: early stopping then watches the training users.
    validation, training = (rows[:left_out], rows[left_out:]) if left_out else (rows, rows)
    with fixed_threads():
        artifact = _train(history, np.sort(training), np.sort(validation), parameters, random, meta)
    if left_out:
        meta["metrics"] |= score_next(history, artifact, np.sort(validation))
    return artifact


def encode(history: UserHistory, artifact: Artifact) -> np.ndarray:
    """Return the vectors (n, dims) of users; see Encoder.

    A user without an item of the vocabulary has a vector of zeros, as has everyone if nothing was trained.
    """
    parameters = Parameters(**artifact.meta["parameters"])
    history = history.aligned(artifact.arrays["item_ids"])
    vectors = np.zeros((len(history.sequence_offsets) - 1, parameters.dims), np.float32)
    known = np.flatnonzero(np.diff(history.sequence_offsets))
    if not _is_trained(artifact) or not len(known):
        return vectors
    network = _restored(artifact, parameters)
    rows = newest_items(history, known, parameters.max_length)
    with fixed_threads(), torch.inference_mode():
        for chosen, block in _blocks(rows, parameters.max_length):
            vectors[known[chosen]] = _pooled(network, block)[: len(chosen)].numpy()
    return round_vectors(vectors)


def score_next(history: UserHistory, artifact: Artifact, users: np.ndarray | None = None) -> dict[str, float]:
    """Return how often the newest item of a user is among the ten guessed from the items before it.

    Items that a user took before may be guessed, because taking them again is common. Items of one basket
    have no order in time: where the log sorts them in some way, the GRU can learn that way.

    Args:
        history: What the users did.
        artifact: What `fit` returned.
        users: Positions of the users to score, all by default; those with fewer than two items of the
            vocabulary do not count.

    Returns:
        next_item_hit_rate_at_10; popularity_hit_rate_at_10, what it would be if the ten items that occur most
        in the training sequences were guessed for everybody; scored_users. Empty if nobody can be scored.
    """
    parameters = Parameters(**artifact.meta["parameters"])
    history = history.aligned(artifact.arrays["item_ids"])
    lengths = np.diff(history.sequence_offsets)
    users = np.flatnonzero(lengths > 1) if users is None else users[lengths[users] > 1]
    if not _is_trained(artifact) or not len(users):
        return {}
    network = _restored(artifact, parameters)
    rows = newest_items(history, users, parameters.max_length)
    wanted = rows.items[np.arange(len(rows)), rows.lengths - 1]
    popular = np.argsort(-artifact.arrays["item_counts"], kind="stable")[:HITS_AT]
    hits = 0
    with fixed_threads(), torch.inference_mode():
        for chosen, block in _blocks(rows, parameters.max_length):
            guesses = newest_item(block, network.mask if parameters.architecture == "transformer" else None)
            best = _scores(network, guesses)[: len(chosen)].topk(min(HITS_AT, network.items)).indices
            hits += int((best.numpy() == wanted[chosen][:, None]).any(axis=1).sum())
    return {
        f"next_item_hit_rate_at_{HITS_AT}": round(hits / len(users), 6),
        f"popularity_hit_rate_at_{HITS_AT}": round(float(np.isin(wanted, popular).mean()), 6),
        "scored_users": len(users),
    }


def shares_of_items_to_come(
    history: UserHistory, artifact: Artifact, block_users: int = 2 * BLOCK_ROWS
) -> Iterator[np.ndarray]:
    """Guess the item after the newest of every user; nothing is trained.

    Args:
        history: What the users did.
        artifact: What `fit` returned.
        block_users: Users in a block.

    Yields:
        Block by block, (users of the block, vocabulary items) float32: the softmax over the vocabulary; zeros
        for users without an item of it, and for everybody if nothing was trained.
    """
    parameters = Parameters(**artifact.meta["parameters"])
    history = history.aligned(artifact.arrays["item_ids"])
    lengths = np.diff(history.sequence_offsets)
    network = _restored(artifact, parameters) if _is_trained(artifact) else None
    mask = network.mask if network and parameters.architecture == "transformer" else None
    for start in range(0, len(lengths), block_users):
        own = lengths[start : start + block_users]
        shares = np.zeros((len(own), len(history.item_ids)), np.float32)
        known = np.flatnonzero(own)
        if network is not None and len(known):
            # A mask takes the place of the oldest item.
            rows = newest_items(history, start + known, parameters.max_length - (mask is not None))
            with fixed_threads(), torch.inference_mode():
                for chosen, block in _blocks(rows, parameters.max_length - (mask is not None)):
                    scores = _scores(network, item_to_come(block, mask))[: len(chosen)]
                    shares[known[chosen]] = scores.softmax(dim=1).numpy()
        yield shares


def _train(
    history: UserHistory,
    training: np.ndarray,
    validation: np.ndarray,
    parameters: Parameters,
    random: np.random.Generator,
    meta: dict,
) -> Artifact:
    network = _build(parameters, len(history.item_ids), torch.Generator().manual_seed(parameters.seed))
    steps = -(-len(training) // parameters.batch_size)

    def losses() -> Iterator[torch.Tensor]:
        for users in np.array_split(random.permutation(training), steps):
            rows = augmented(
                history,
                users,
                parameters.max_length,
                parameters.crop_share,
                parameters.item_dropout,
                random,
            )
            yield _loss(network, _guesses(network, rows, parameters, VISIBLE_SHARE, random))

    # Drawn once, so that the epochs can be compared.
    newest = newest_items(history, validation, parameters.max_length)
    questions = [
        _guesses(network, newest[block], parameters, 0.0, random)
        for block in np.array_split(np.arange(len(newest)), -(-len(newest) // BLOCK_ROWS))
    ]

    def validate() -> float:
        values = [_loss(network, guesses).item() for guesses in questions]
        return float(np.average(values, weights=[len(guesses.targets) for guesses in questions]))

    course = descend(
        network, losses, validate, steps, parameters, f"sequence encoder, {parameters.architecture}"
    )
    meta["log"] = course.log
    meta["metrics"] = {
        "epochs": len(course.log),
        "best_epoch": course.best_epoch,
        "validation_loss": round(course.best_loss, 6),
        "training_rows": len(training),
        "vocabulary_items": len(history.item_ids),
        "trainable_parameters": sum(weight.numel() for weight in network.parameters()),
    }
    arrays = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    arrays["item_ids"] = history.item_ids
    arrays["item_counts"] = _item_counts(history, training)
    return Artifact(arrays, meta)


def _item_counts(history: UserHistory, users: np.ndarray) -> np.ndarray:
    owners = np.repeat(np.arange(len(history.sequence_offsets) - 1), np.diff(history.sequence_offsets))
    return np.bincount(history.sequence_items[np.isin(owners, users)], minlength=len(history.item_ids))


def _build(parameters: Parameters, items: int, generator: torch.Generator | None = None) -> SequenceNetwork:
    if parameters.architecture == "gru":
        return RecurrentNetwork(items, parameters.dims, parameters.layers, parameters.dropout, generator)
    return Transformer(
        items,
        parameters.dims,
        parameters.layers,
        parameters.heads,
        parameters.max_length,
        parameters.dropout,
        generator,
    )


def _is_trained(artifact: Artifact) -> bool:
    return "item_vectors" in artifact.arrays


def _restored(artifact: Artifact, parameters: Parameters) -> SequenceNetwork:
    network = _build(parameters, len(artifact.arrays["item_ids"]))
    network.load_state_dict({name: torch.from_numpy(artifact.arrays[name]) for name in network.state_dict()})
    return network.eval()


def _guesses(
    network: SequenceNetwork,
    rows: Rows,
    parameters: Parameters,
    visible_share: float,
    random: np.random.Generator,
) -> Guesses:
    if parameters.architecture == "gru":
        return next_items(rows, parameters.mask_share, random)
    return hidden_items(rows, network.mask, parameters.mask_share, visible_share, random)


def _scores(network: SequenceNetwork, guesses: Guesses) -> torch.Tensor:
    return network.scores(_states(network, guesses.rows)[guesses.places])


def _loss(network: SequenceNetwork, guesses: Guesses) -> torch.Tensor:
    return functional.cross_entropy(_scores(network, guesses), torch.from_numpy(guesses.targets))


def _states(network: SequenceNetwork, rows: Rows) -> torch.Tensor:
    return network(torch.from_numpy(rows.items), torch.from_numpy(rows.lengths))


def _pooled(network: SequenceNetwork, rows: Rows) -> torch.Tensor:
    """Return the mean state of each row, or a recurrent network's last one."""
    states = _states(network, rows)
    if isinstance(network, RecurrentNetwork):
        return states[np.arange(len(rows)), rows.lengths - 1]
    filled = torch.from_numpy(rows.filled).unsqueeze(-1)
    return (states * filled).sum(dim=1) / filled.sum(dim=1)


def _blocks(rows: Rows, width: int) -> Iterator[tuple[np.ndarray, Rows]]:
    """Yield the positions of some rows, with blocks (BLOCK_ROWS, width) that begin with these rows.

    The last block is filled up by repetition.
    """
    behind = ((0, 0), (0, width - rows.items.shape[1]))
    rows = Rows(np.pad(rows.items, behind, constant_values=rows.padding), rows.lengths, rows.padding)
    for start in range(0, len(rows), BLOCK_ROWS):
        chosen = np.arange(start, min(start + BLOCK_ROWS, len(rows)))
        yield chosen, rows[np.resize(chosen, BLOCK_ROWS)]
