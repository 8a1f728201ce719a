"""What may stand in var segmentations."""

import re

import pytest
import yaml
from conftest import PROJECT

from manyfaces.segments.specs import ALGORITHMS, check_specs, python_specs, validate_spec

TASTE = {"name": "taste", "encoder": "fused", "algorithm": "kmeans", "candidates": [6, 7]}
BLOCKS = {"name": "mix", "blocks": {"categories": 1.0, "text": 0.5}, "algorithm": "kmeans", "candidates": [6]}
RFM = {"name": "rfm", "algorithm": "rfm"}
DEMOGRAPHIC = {"name": "demographic", "algorithm": "demographic", "columns": ["age_band"]}
INTEREST = {"name": "interest", "algorithm": "top_interest"}


def refusal(spec):
    with pytest.raises(ValueError, match=r"^(Segmentation|A segmentation) ") as caught:
        check_specs([spec])
    said = str(caught.value)
    assert "\n" not in said
    assert said.endswith(".")
    return said


@pytest.mark.parametrize(
    "spec",
    [
        TASTE
        | {"population": "events > 5", "vote": {"stability": 3, "silhouette": 1}, "min_segment_share": 0.1},
        BLOCKS | {"dims": 16},
        {"name": "labels", "algorithm": "knn", "encoder": "factors"},
        {"name": "friends", "algorithm": "label_propagation"},
        {"name": "levels", "algorithm": "ward", "encoder": "graph", "levels": [3, 8]},
        RFM | {"cuts": {"recency_days": [7, 30, 60, 90], "monetary_amount": [0, 1, 2.5, 4]}},
        DEMOGRAPHIC | {"min_share": 0.03, "population": "has_consent"},
        {"name": "tiers_2", "algorithm": "rules"},
        INTEREST | {"by": "lift", "min_share": 0.02, "min_events": 3},
    ],
    ids=lambda spec: spec["name"],
)
def test_good_declarations_pass_as_they_are(spec):
    assert check_specs([spec]) == [spec]


def test_null_is_the_same_as_nothing():
    assert validate_spec(TASTE | {"population": None, "vote": None}) == TASTE


def test_several_segmentations_of_one_algorithm_stand_side_by_side():
    declared = [TASTE, RFM, RFM | {"name": "rfm_2"}, INTEREST, INTEREST | {"name": "interest_2"}]
    assert check_specs(declared) == declared
    assert python_specs(declared) == [TASTE]


def test_an_encoder_can_be_declared():
    own = TASTE | {"encoder": "my_vae"}
    assert check_specs([own], encoders=["my_vae"]) == [own]
    mixed = BLOCKS | {"blocks": {"my_vae": 1}}
    assert check_specs([mixed], encoders=["my_vae"]) == [mixed]
    assert "the encoder 'my_vae' is unknown; did you mean 'mult_vae'?" in refusal(own)
    assert "the block 'my_vae' is unknown; did you mean 'mult_vae'?" in refusal(mixed)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            TASTE | {"min_segment_shares": 0.1},
            "kmeans has no setting 'min_segment_shares'; did you mean 'min_segment_share'? Known are ",
        ),
        (
            RFM | {"encoder": "fused"},
            "Segmentation rfm: rfm has no setting 'encoder'; known are algorithm, cuts, ",
        ),
        (
            TASTE | {"algorithm": "kmean"},
            "Segmentation taste: the algorithm 'kmean' is unknown; did you mean 'kmeans'? Known are dbscan, ",
        ),
        (
            TASTE | {"algorithm": ["kmeans"]},
            "Segmentation taste: the algorithm ['kmeans'] is unknown; did you ",
        ),
        (
            TASTE | {"encoder": "fuse"},
            "the encoder 'fuse' is unknown; did you mean 'fused'? Known are adversarial, ",
        ),
        (TASTE | {"blocks": {"text": 1}}, "it has both an encoder and blocks; remove one of them."),
        (TASTE | {"encoder": None}, "it needs an encoder, such as encoder: fused, or blocks with weights."),
        (TASTE | {"dims": 8}, "dims is the length of vectors made of blocks, and there are no blocks."),
        (BLOCKS | {"blocks": {"behaviour": 1}}, "the block 'behaviour' is unknown; "),
        (
            BLOCKS | {"blocks": {"text": 0}},
            "blocks must be a mapping of blocks to weights, at least one above 0",
        ),
        (BLOCKS | {"blocks": {"text": -1, "vae": 1}}, "blocks must be a mapping of blocks to weights"),
        (BLOCKS | {"blocks": ["text"]}, "blocks must be a mapping of blocks to weights"),
        (BLOCKS | {"dims": 0}, "dims must be a whole number from 1 on, not 0."),
        (TASTE | {"min_segment_share": 1}, "min_segment_share must be a number from 0 to below 1, not 1."),
        (
            TASTE | {"min_segment_share": -0.1},
            "min_segment_share must be a number from 0 to below 1, not -0.1.",
        ),
        (TASTE | {"candidates": None}, "the setting 'candidates' is missing."),
        (
            TASTE | {"candidates": []},
            "candidates must be a list of whole numbers from 2 on, not [].",
        ),
        (
            TASTE | {"candidates": 7},
            "candidates must be a list of whole numbers from 2 on, not 7.",
        ),
        (TASTE | {"candidates": [1, 2]}, "candidates must be a list of whole numbers from 2 on"),
        (
            TASTE | {"vote": {"beauty": 1}},
            "vote must be weights from 0 on, not all 0, of some of the indices ",
        ),
        (
            TASTE | {"population": 5},
            "population must be a SQL condition as a text, or null for all users, not 5.",
        ),
        (
            {"name": "tree", "algorithm": "ward", "encoder": "fused", "levels": [1, 8]},
            "levels must be a list of whole numbers from 2 on, not [1, 8].",
        ),
        (
            RFM | {"cuts": {"recency_days": [7, 30, 30, 90]}},
            "cuts must be a mapping of some of recency_days, ",
        ),
        (RFM | {"cuts": {"recency_days": [7, 30, 60]}}, "cuts must be a mapping"),
        (RFM | {"cuts": {"basket_items": [1, 2, 3, 4]}}, "cuts must be a mapping"),
        (RFM | {"cuts": {}}, "cuts must be a mapping"),
        (DEMOGRAPHIC | {"columns": None}, "the setting 'columns' is missing."),
        (DEMOGRAPHIC | {"columns": ["shoe_size"]}, "columns must be a list of some of age_band, gender, "),
        (DEMOGRAPHIC | {"columns": ["gender", "gender"]}, "columns must be a list of some of"),
        (DEMOGRAPHIC | {"columns": "gender"}, "columns must be a list of some of"),
        (DEMOGRAPHIC | {"min_share": 3}, "min_share must be a number from 0 to below 1, not 3."),
        (INTEREST | {"by": "volume"}, "by must be share or lift, not 'volume'."),
        (INTEREST | {"min_events": 0}, "min_events must be a whole number from 1 on, not 0."),
        (TASTE | {"name": "Taste 1"}, "Segmentation Taste 1: a name is made of a to z, 0 to 9 and _ only."),
        (TASTE | {"name": "a-b"}, "Segmentation a-b: a name is made of a to z, 0 to 9 and _ only."),
        (TASTE | {"name": "everyone"}, "the name is taken by the lists for strangers; choose another."),
        ({"algorithm": "rfm"}, "A segmentation in `segmentations` has no name: {'algorithm': 'rfm'}."),
        ("rfm", "A segmentation is declared by a block of settings, not by 'rfm'."),
    ],
)
def test_what_is_wrong_is_named(spec, expected):
    assert expected in refusal(spec)


def test_a_name_stands_once():
    for check in (check_specs, python_specs):
        with pytest.raises(ValueError, match="Two segmentations have the name rfm"):
            check([RFM, TASTE, RFM])


def test_a_mapping_is_no_list():
    with pytest.raises(ValueError, match="`segmentations` must be a list of blocks"):
        check_specs(TASTE)


def test_the_blocks_of_the_guide_can_be_copied():
    guide = (PROJECT / "docs" / "segmentations.md").read_text()
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", guide, flags=re.DOTALL)]
    declared = [spec for block in blocks if isinstance(block, list) for spec in block]
    assert check_specs(declared) == declared
    assert {spec["algorithm"] for spec in declared} == set(ALGORITHMS)
    whole = next(block for block in blocks if "segmentations" in block)["segmentations"]
    assert check_specs(whole) == whole


def test_the_guide_shows_the_rules_of_the_seed():
    guide = (PROJECT / "docs" / "segmentations.md").read_text()
    assert (PROJECT / "seeds" / "segment_rules.csv").read_text() in guide
