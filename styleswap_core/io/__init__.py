"""Pictures and files, in and out: images, atomic writes, contact sheets, read-ahead."""
