"""What a swap is worth: identity, likeness to the exact swap, mask, pose and expression, and the suites of them."""
