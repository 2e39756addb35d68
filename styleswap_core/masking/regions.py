"""Regions of a face by name, as the 19 classes of CelebAMask-HQ divide it, and parts of its outline."""

from collections.abc import Sequence

from ..errors import StyleSwapError

REGIONS: dict[str, tuple[int, ...]] = {
    "background": (0,),
    "skin": (1,),
    "brows": (2, 3),
    "eyes": (4, 5),
    "glasses": (6,),
    "ears": (7, 8),
    "earrings": (9,),
    "nose": (10,),
    "mouth": (11,),
    "lips": (12, 13),
    "neck": (14,),
    "necklace": (15,),
    "clothes": (16,),
    "hair": (17,),
    "hat": (18,),
}
"""Classes of each region, in the order of published face parsing networks; "mouth" is its inside."""

CLASSES = 1 + max(max(classes) for classes in REGIONS.values())
"""Number of classes: 19."""

FACE = ("skin", "brows", "eyes", "nose", "mouth", "lips")
"""Regions of a bare face."""

SWAPPED = "skin,brows,eyes,glasses,nose,mouth,lips"
"""Regions that are swapped by default. Glasses belong to them, since their region includes the eyes behind them."""

AREAS = ("face", "upper", "lower")
"""Areas that masks of faces may have beside regions: all of the face, above or below the base of the nose."""

SHAPED = (*AREAS, "skin", "brows", "eyes", "nose", "mouth", "lips")
"""What landmarks or five points can tell without a parsing network; they do not tell mouth from lips."""

PARTS = ("whole", "upper", "lower", "mouth")
"""Parts of the outline: all of it, above or below the base of the nose, and the mouth with its lips."""

OUTLINES = ("automatic", *PARTS)
"""Choices of an outline: "automatic" replaces a missing mask; a part also limits the masks of networks."""


def parse_regions(text: str, areas: Sequence[str] = ()) -> tuple[str | int, ...]:
    """Regions named in a text such as "skin, nose", or classes by number such as "1,10" for networks with others.

    Args:
        text: The text.
        areas: Further names that are allowed, such as AREAS.

    Raises:
        StyleSwapError: An unknown name, or nothing.
    """
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    names = (*areas, *REGIONS)
    unknown = [word for word in words if word not in names and not word.isdecimal()]
    if unknown or not words:
        got = f"got {unknown[0]!r}" if unknown else "got none"
        raise StyleSwapError(f"expected regions out of {', '.join(names)}, or numbers of classes, {got}")
    return tuple(int(word) if word.isdecimal() else word for word in words)


def region_classes(regions: Sequence[str | int]) -> tuple[int, ...]:
    """Sorted class numbers of regions given by name or number."""
    classes = {one for region in regions for one in ((region,) if isinstance(region, int) else REGIONS[region])}
    return tuple(sorted(classes))
