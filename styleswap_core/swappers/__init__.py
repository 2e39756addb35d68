"""Swapping networks behind one interface: crops and identities in, swapped crops and masks out."""
