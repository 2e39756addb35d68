"""Video files: frames and packets in and out."""
