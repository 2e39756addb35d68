"""Codecs in which video is written, and their encoders in FFmpeg."""

ENCODERS = {
    "h264": ("libx264", "h264_videotoolbox", "h264_mf", "libopenh264"),
    "hevc": ("libx265", "hevc_videotoolbox", "hevc_mf"),
    "vp9": ("libvpx-vp9",),
    "av1": ("libsvtav1", "libaom-av1"),
    "prores": ("prores_ks",),
    "ffv1": ("ffv1",),
}
"""Encoders of each codec, the preferred one first.

Hardware encoders are used where a user names them, or where a build of FFmpeg has no other."""

CODECS = tuple(ENCODERS)
"""Names of the codecs."""
