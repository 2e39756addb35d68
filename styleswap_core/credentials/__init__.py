"""Content Credentials (C2PA): signed statements in files about how they were made."""
