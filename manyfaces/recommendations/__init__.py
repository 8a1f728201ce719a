"""Candidate sources of the recommendations: collaborative (EASE^R), content, neighbours."""
