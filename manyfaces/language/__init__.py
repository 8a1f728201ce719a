"""Optional texts about segments by a language model: off by default, checked, never about one user."""
