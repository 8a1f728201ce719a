"""Which encoders there are, what may be declared of them, and that the page about them tells the truth."""

import re
import subprocess
import sys
from dataclasses import dataclass, fields
from typing import Literal

import pytest
from conftest import PROJECT

from manyfaces.embeddings.encoders.registry import ENCODERS, resolve_encoders, wanted_encoders
from manyfaces.embeddings.parameters import read_parameters, setting


def resolve(declared, wanted, seed=7):
    return resolve_encoders(declared, wanted, seed)


def test_every_kind_has_what_an_encoder_offers():
    assert {"adversarial", "autoencoder", "deep_clustering", "dense_vae", "factors", "mult_vae"} <= set(
        ENCODERS
    )
    for kind in ENCODERS:
        encoder = ENCODERS[kind]
        assert encoder.version
        assert callable(encoder.fit)
        assert callable(encoder.encode)
        assert encoder.Parameters().seed == 7
    versions = [ENCODERS[kind].version for kind in ENCODERS]
    assert len(set(versions)) == len(versions)
    with pytest.raises(KeyError):
        ENCODERS["nothing"]


def test_a_name_is_looked_up_without_loading_torch():
    code = (
        "import sys; from manyfaces.embeddings.encoders.registry import ENCODERS, resolve_encoders\n"
        "assert 'mult_vae' in ENCODERS and resolve_encoders({}, [], 1) == []\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PROJECT)


def test_a_kind_needs_no_declaration_and_a_variant_changes_what_it_says():
    declared = {
        "mult_vae": {"latent_dims": 8},
        "wide": {"kind": "mult_vae", "hidden_dims": [64, 32], "seed": 3},
    }
    found = {
        name: (kind, given) for name, kind, given in resolve(declared, ["wide", "mult_vae", "dense_vae"])
    }
    assert list(found) == ["wide", "mult_vae", "dense_vae"]
    assert found["wide"][0] == found["mult_vae"][0] == "mult_vae"
    assert found["mult_vae"][1] == ENCODERS["mult_vae"].Parameters(latent_dims=8)
    assert found["wide"][1] == ENCODERS["mult_vae"].Parameters(hidden_dims=(64, 32), seed=3)
    assert found["dense_vae"] == ("dense_vae", ENCODERS["dense_vae"].Parameters())


def test_the_seed_of_the_project_holds_unless_one_is_declared():
    (_, _, first), (_, _, second) = resolve(
        {"a": {"kind": "factors", "seed": 5}}, ["a", "dense_vae"], seed=11
    )
    assert (first.seed, second.seed) == (5, 11)


@pytest.mark.parametrize(
    ("declared", "wanted", "message"),
    [
        ({}, ["mult_va"], "There is no encoder 'mult_va'; did you mean 'mult_vae'?"),
        ({}, ["fussed"], "There is no encoder 'fussed'; did you mean 'fused'?"),
        ({"small": {"kind": "mult_vae"}}, ["smal"], "There is no encoder 'smal'; did you mean 'small'?"),
        ({"small": {"kind": "gan"}}, [], "Encoder small: there is no kind 'gan'; there are adversarial, "),
        ({"small": {"latent_dims": 4}}, [], "Encoder small has no kind; there are adversarial, "),
        ({"small": None}, [], "Encoder small must be a mapping such as {kind: mult_vae}, not None."),
        ({"mult_vae": {"kind": "factors"}}, [], "Encoder mult_vae cannot be of the kind factors: it has"),
        (
            {"vae": {"kind": "mult_vae"}},
            [],
            "Encoder 'vae' in encoders: the vectors of that name have settings",
        ),
        ({"Bad-Name": {"kind": "mult_vae"}}, [], "Encoder 'Bad-Name' in encoders: a name has small letters"),
        ({"../up": {"kind": "mult_vae"}}, [], "Encoder '../up' in encoders: a name has small letters"),
        (["mult_vae"], [], "encoders must be a mapping such as"),
        (
            {"mult_vae": {"latent_dim": 4}},
            [],
            "Encoder mult_vae has no parameter 'latent_dim'; did you mean 'latent_dims'?",
        ),
        ({"mult_vae": {"latent_dims": 0}}, [], "Encoder mult_vae: latent_dims is 0 but must be at least 1."),
        (
            {"mult_vae": {"latent_dims": 4.5}},
            [],
            "Encoder mult_vae: latent_dims must be a whole number, not 4.5.",
        ),
        ({"mult_vae": {"latent_dims": True}}, [], "latent_dims must be a whole number, not True."),
        ({"mult_vae": {"dropout": 1}}, [], "dropout is 1.0 but must be at least 0 and below 1."),
        ({"mult_vae": {"dropout": "half"}}, [], "dropout must be a number, not 'half'."),
        ({"mult_vae": {"dropout": float("nan")}}, [], "dropout is nan but must be at least 0 and below 1."),
        ({"mult_vae": {"hidden_dims": [64, 0]}}, [], "hidden_dims is 0 but must be at least 1."),
        (
            {"mult_vae": {"hidden_dims": ["wide"]}},
            [],
            "hidden_dims must be a list in which each entry is a whole",
        ),
        (
            {"mult_vae": {"schedule": "steps"}},
            [],
            "schedule must be plateau or cosine or constant, not 'steps'.",
        ),
        ({"mult_vae": {"likelihood": "gaussian"}}, [], "likelihood must be multinomial, not 'gaussian'."),
        ({"dense_vae": {"likelihood": "multinomial"}}, [], "likelihood must be gaussian or bernoulli, not"),
        ({"autoencoder": {"noise": 0.2}}, [], "Encoder autoencoder: noise is for features"),
        ({"deep_clustering": {"clusters": 1}}, [], "clusters is 1 but must be at least 2."),
        ({"factors": {}}, [], "Encoder 'factors' in encoders: the vectors of that name have settings"),
        ({"short": {"kind": "factors", "unit_length": 1}}, [], "unit_length must be true or false, not 1."),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(declared, wanted, message):
    with pytest.raises(ValueError, match=re.escape(message)) as refused:
        resolve(declared, wanted)
    assert len(str(refused.value).splitlines()) == 1


def test_parameters_may_be_optional_and_numbers_whole():
    @dataclass(frozen=True)
    class Parameters:
        share: float | None = setting(None, low=0, high=1)
        schedule: Literal["a", "b"] = "a"
        widths: tuple[int, ...] = (1,)

    read = read_parameters("It", Parameters, {"share": 1, "widths": 5})
    assert read == Parameters(share=1.0, widths=(5,))
    assert isinstance(read.share, float)
    assert read_parameters("It", Parameters, {"share": None}).share is None
    with pytest.raises(ValueError, match=r"It: share must be a number or null, not 'x'\."):
        read_parameters("It", Parameters, {"share": "x"})


def test_wanted_are_the_encoders_of_segmentations_that_no_table_holds():
    segmentations = [
        {"name": "a", "encoder": "fused"},
        {"name": "b", "encoder": "mult_vae"},
        {"name": "c", "blocks": {"behaviour": 1.0, "factors": 1, "small": 0.5, "dense_vae": 1}},
        {"name": "d", "encoder": "typo"},
        {"name": "e", "algorithm": "rfm", "blocks": None},
    ]
    wanted = wanted_encoders(segmentations, {"small": {"kind": "mult_vae"}, "unused": {"kind": "factors"}})
    assert wanted == ["dense_vae", "mult_vae", "small", "typo"]
    assert wanted_encoders([], {}) == []


def test_the_page_names_every_parameter_of_every_encoder_with_its_default():
    page = (PROJECT / "docs" / "encoders.md").read_text(encoding="utf-8")
    shared = rows_of(page.split("\n## What every training has\n")[1])
    for kind in ENCODERS:
        own = rows_of(page.split(f"\n## `{kind}`")[1])
        defaults = {entry.name: as_yaml(entry.default) for entry in fields(ENCODERS[kind].Parameters)}
        told = {name: default for name, default in shared.items() if name in defaults} | own
        assert told == defaults, kind


def rows_of(section):
    """Return the defaults by name in the table of a section."""
    rows = re.findall(r"^\| `(\w+)` \| `([^`]*)` \|", section.split("\n## ")[0], flags=re.MULTILINE)
    return dict(rows)


def as_yaml(value):
    if isinstance(value, bool):
        return str(value).lower()
    return str(list(value)) if isinstance(value, tuple) else str(value)
