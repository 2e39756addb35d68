"""The swapping pipeline for pictures, batches and streams of frames."""
