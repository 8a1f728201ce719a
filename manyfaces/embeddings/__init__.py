"""Vectors of users, items and texts: encoders, pooling, autoencoder, factors, and their fusion."""
