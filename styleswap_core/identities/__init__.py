"""Identities: their extraction from pictures, averaging and mixing, and file formats."""
