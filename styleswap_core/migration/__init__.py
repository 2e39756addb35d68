"""Workflows of other face swap packs moved over to this pack's nodes: editor graphs and API prompts."""
