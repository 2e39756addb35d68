"""Evaluation of face swaps: metrics, the suites that compute them, and their reports."""
