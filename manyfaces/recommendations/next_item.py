"""Item scores of a sequence encoder: what it expects to come after a user's newest items.

BERT4Rec (Sun et al., CIKM 2019) and GRU4Rec (Hidasi et al., ICLR 2016) of embeddings/encoders/sequence.py;
the network is the one whose states are the users' vectors.
"""

import numpy as np

from manyfaces.embeddings.encoders.base import UserHistory
from manyfaces.embeddings.encoders.sequence import shares_of_items_to_come
from manyfaces.recommendations.top_items import ScoreBlocks
from manyfaces.store import Artifact

MODEL_VERSION = "next_item-1"
BLOCK_USERS = 512


def score_blocks(history: UserHistory, artifact: Artifact, block_users: int = BLOCK_USERS) -> ScoreBlocks:
    """Score all items for all users under a fitted `sequence` encoder; nothing is trained.

    Args:
        history: Sequences of the users; its items are the columns of the scores.
        artifact: What sequence.fit returned, perhaps for other users and items.
        block_users: users that are scored at once.

    Yields:
        First user of the block and the (users of the block, items) float32 scores: how many times as likely
        as by chance the item is the next one; 0 for items outside the vocabulary, and for users without an
        item of it.
    """
    vocabulary = artifact.arrays["item_ids"]
    position_of = {item: position for position, item in enumerate(history.item_ids.tolist())}
    positions = np.array([position_of.get(item, -1) for item in vocabulary.tolist()], dtype=np.int64)
    known = positions >= 0
    start = 0
    for shares in shares_of_items_to_come(history, artifact, block_users):
        scores = np.zeros((len(shares), len(history.item_ids)), np.float32)
        scores[:, positions[known]] = shares[:, known] * len(vocabulary)
        yield start, scores
        start += len(shares)
