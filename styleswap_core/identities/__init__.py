"""Identities: what they are, how they are extracted from pictures, and the files they are stored in."""
