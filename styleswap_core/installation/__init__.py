"""What is installed: the packages that this one needs, why one of them does not load, and what to do about it.

Nothing here imports any of them, so that it works where they are broken.
"""
