"""Encoders of users: each turns what users did into one vector per user, behind one interface."""
