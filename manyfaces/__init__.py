"""Functions that the Python models of Manyfaces call: embeddings, segments, recommendations."""

__version__ = "0.1.0"
