"""Crops cut from pictures and pasted back: canvases, masks, color matching, blending."""
