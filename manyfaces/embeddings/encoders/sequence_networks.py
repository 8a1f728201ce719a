"""Two small networks that read a user's items in order: a transformer that looks both ways, and a GRU.

Both give a hidden state for each position; its product with the item vectors, which are also the inputs
(tied weights), scores the item that belongs there, or that comes next. All that is random comes from one
generator, never from the global one.
"""

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import skip_init

FEED_FORWARD_WIDTH = 4


class SequenceNetwork(nn.Module):
    """What both networks share: item vectors that are inputs and outputs, and the dropout.

    Rows of `item_vectors` are the items, then the sign for an item that is to be guessed, `mask`, and the one
    that fills up the places behind a sequence's end, `padding`.
    """

    def __init__(self, items: int, dims: int, dropout: float, generator: torch.Generator | None) -> None:
        """Make the item vectors; the networks draw all first weights when their own are there."""
        super().__init__()
        self.items, self.dims, self.dropout = items, dims, dropout
        self.generator = generator or torch.Generator()
        self.mask, self.padding = items, items + 1
        self.item_vectors = nn.Parameter(torch.empty(items + 2, dims))
        self.item_bias = nn.Parameter(torch.empty(items))

    def scores(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return a score for every item (p, items) at positions with the hidden states (p, dims)."""
        return hidden @ self.item_vectors[: self.items].T + self.item_bias

    def read(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the vectors (n, l, dims) of items (n, l), scaled to a variance near 1."""
        return functional.embedding(rows, self.item_vectors) * self.dims**0.5

    def drop(self, values: torch.Tensor) -> torch.Tensor:
        """Return the values with a random share set to 0 in training, scaled to the same mean."""
        if not self.training or self.dropout == 0:
            return values
        kept = torch.rand(values.shape, generator=self.generator) >= self.dropout
        return values * kept / (1 - self.dropout)

    def draw_weights(self) -> None:
        """Draw the first weights: normal for the vectors of items and positions, Glorot for the layers."""
        for name, parameter in self.named_parameters():
            if name.endswith("vectors"):
                nn.init.normal_(parameter, std=self.dims**-0.5, generator=self.generator)
            elif "norm" in name and name.endswith("weight"):
                nn.init.ones_(parameter)
            elif "bias" in name:
                nn.init.zeros_(parameter)
            else:
                nn.init.xavier_uniform_(parameter, generator=self.generator)


class Transformer(SequenceNetwork):
    """Bidirectional transformer (Vaswani et al. 2017) as in BERT4Rec, with the norm before each step.

    Positions are counted from the end, so that the newest item is at the same place for every user.
    """

    def __init__(
        self,
        items: int,
        dims: int,
        layers: int,
        heads: int,
        max_length: int,
        dropout: float,
        generator: torch.Generator | None = None,
    ) -> None:
        """Draw the first weights from `generator`; `dims` is a multiple of `heads`."""
        super().__init__(items, dims, dropout, generator)
        self.position_vectors = nn.Parameter(torch.empty(max_length, dims))
        self.layers = nn.ModuleList(_Layer(dims, heads) for _ in range(layers))
        self.final_norm = nn.LayerNorm(dims)
        self.draw_weights()

    def forward(self, rows: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return hidden states (n, l, dims) of rows of items (n, l) that are `lengths` (n,) long."""
        columns = torch.arange(rows.shape[1])
        from_end = (lengths[:, None] - 1 - columns).clamp(min=0)
        positions = functional.embedding(from_end, self.position_vectors) * self.dims**0.5
        hidden = self.drop(self.read(rows) + positions)
        seen = (columns < lengths[:, None])[:, None, None, :]
        for layer in self.layers:
            hidden = hidden + self.drop(layer.attend(hidden, seen))
            hidden = hidden + self.drop(layer.transform(hidden))
        return self.final_norm(hidden)


class _Layer(nn.Module):
    def __init__(self, dims: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.feed_forward_norm = nn.LayerNorm(dims), nn.LayerNorm(dims)
        # Without torch's own first weights, which would be drawn from the global generator.
        self.queries_keys_values = skip_init(nn.Linear, dims, 3 * dims)
        self.attended = skip_init(nn.Linear, dims, dims)
        self.widen = skip_init(nn.Linear, dims, FEED_FORWARD_WIDTH * dims)
        self.narrow = skip_init(nn.Linear, FEED_FORWARD_WIDTH * dims, dims)

    def attend(self, hidden: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        rows, length, dims = hidden.shape
        parts = self.queries_keys_values(self.attention_norm(hidden))
        by_head = parts.view(rows, length, 3, self.heads, dims // self.heads).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(*by_head, attn_mask=seen)
        return self.attended(attended.transpose(1, 2).reshape(rows, length, dims))

    def transform(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.narrow(functional.gelu(self.widen(self.feed_forward_norm(hidden))))


class RecurrentNetwork(SequenceNetwork):
    """Gated recurrent units (Cho et al. 2014) as in GRU4Rec: a position knows only what came before it."""

    def __init__(
        self, items: int, dims: int, layers: int, dropout: float, generator: torch.Generator | None = None
    ) -> None:
        """Draw the first weights from `generator`."""
        super().__init__(items, dims, dropout, generator)
        # skip_init does not know recurrent networks.
        self.recurrent = nn.GRU(dims, dims, layers, batch_first=True, device="meta").to_empty(device="cpu")
        self.draw_weights()

    def forward(self, rows: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return hidden states (n, l, dims) of rows of items (n, l); padding at the end disturbs none."""
        return self.drop(self.recurrent(self.drop(self.read(rows)))[0])
