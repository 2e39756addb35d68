"""Input and output: picture files, atomic writes, contact sheets, read-ahead."""
