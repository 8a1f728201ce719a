"""Vectors of users, items and texts: encoders, pooling, autoencoder, factors, and their fusion."""

from manyfaces.threads import set_thread_environment

# Before any module of this package loads scikit-learn, torch or huggingface_hub, which read it once.
set_thread_environment()
