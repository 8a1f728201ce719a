"""The kinds of encoders there are, and the encoders that a project declares of them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

from manyfaces.embeddings.encoders.base import Encoder
from manyfaces.embeddings.parameters import nearest, read_parameters

# Vectors that tables of their own hold: nothing has to be fitted for them here.
TABLE_ENCODERS = ("factors", "fused", "text", "vae")
# Kinds that read the order of a user's items.
SEQUENCE_KINDS = frozenset({"sequence"})

_PLACES = {
    "adversarial": "adversarial",
    "autoencoder": "plain",
    "deep_clustering": "deep_clustering",
    "dense_vae": "variational.DENSE_VAE",
    "factors": "svd",
    "graph": "graph",
    "mult_vae": "variational.MULT_VAE",
    "sequence": "sequence",
}
# A name becomes part of a file's name in the store.
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class _Encoders(Mapping[str, Encoder]):
    """Implementations by kind, each loaded when it is asked for: torch alone takes seconds to load."""

    def __getitem__(self, kind: str) -> Encoder:
        module, _, attribute = _PLACES[kind].partition(".")
        loaded = import_module(f"{__package__}.{module}")
        return getattr(loaded, attribute) if attribute else loaded

    def __iter__(self) -> Iterator[str]:
        return iter(_PLACES)

    def __len__(self) -> int:
        return len(_PLACES)

    def __contains__(self, kind: object) -> bool:
        return kind in _PLACES


ENCODERS: Mapping[str, Encoder] = _Encoders()


def wanted_encoders(
    segmentations: Sequence[Mapping[str, Any]], declared: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Return the sorted names of the encoders that segmentations use and that no table holds already.

    Args:
        segmentations: Declarations with `encoder`, or `blocks`: a mapping by
            names of encoders or of other blocks.
        declared: See resolve_encoders.
    """
    names = set()
    for segmentation in segmentations:
        encoder = segmentation.get("encoder")
        names |= {encoder} if encoder else set()
        # What no encoder is called is a block of another kind.
        names |= {name for name in segmentation.get("blocks") or {} if name in declared or name in ENCODERS}
    return sorted(names - set(TABLE_ENCODERS))


def resolve_encoders(
    declared: Mapping[str, Mapping[str, Any]], wanted: Sequence[str], seed: int
) -> list[tuple[str, str, Any]]:
    """Check all declarations and return the wanted encoders with their parameters.

    Args:
        declared: By name, `kind` and any parameters of that kind. What has the name of a kind needs no
            `kind`; a kind that is not declared has its defaults.
        wanted: Names.
        seed: Seed of the encoders that declare none.

    Returns:
        Name, kind and parameters (an instance of the kind's dataclass) of each wanted encoder, in order.

    Raises:
        ValueError: If a name, kind, parameter or value is not possible; one sentence that says what to do.
    """
    if not isinstance(declared, Mapping):
        raise ValueError(
            f"encoders must be a mapping such as {{small: {{kind: mult_vae}}}}, not {declared!r}."
        )
    known = {name: _resolve(name, entry, seed) for name, entry in declared.items()}
    resolved = []
    for name in wanted:
        if name not in known:
            if name not in ENCODERS:
                raise ValueError(
                    f"There is no encoder '{name}'{nearest(name, {*known, *ENCODERS, *TABLE_ENCODERS})}"
                )
            known[name] = _resolve(name, {}, seed)
        resolved.append((name, *known[name]))
    return resolved


def _resolve(name: str, entry: Mapping[str, Any], seed: int) -> tuple[str, Any]:
    """Return kind and parameters of one declaration."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"Encoder '{name}' in encoders: a name has small letters, digits and _ only, a letter first."
        )
    if name in TABLE_ENCODERS:
        raise ValueError(
            f"Encoder '{name}' in encoders: the vectors of that name have settings of their own; "
            "give the encoder another name, with a kind."
        )
    if not isinstance(entry, Mapping):
        raise ValueError(f"Encoder {name} must be a mapping such as {{kind: mult_vae}}, not {entry!r}.")
    kind = entry.get("kind", name if name in ENCODERS else None)
    if kind is None:
        raise ValueError(f"Encoder {name} has no kind; there are {', '.join(sorted(ENCODERS))}.")
    if kind not in ENCODERS:
        raise ValueError(f"Encoder {name}: there is no kind '{kind}'{nearest(kind, ENCODERS)}")
    if name in ENCODERS and kind != name:
        raise ValueError(f"Encoder {name} cannot be of the kind {kind}: it has the name of another kind.")
    parameters = {"seed": seed} | {key: value for key, value in entry.items() if key != "kind"}
    return kind, read_parameters(f"Encoder {name}", ENCODERS[kind].Parameters, parameters)
