"""Form of a node of another pack, and the values of its widgets as graphs of all ages hold them."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

# What the editor stores after a seed, beside the widgets of the node.
_EDITOR_VALUES = ("fixed", "increment", "decrement", "randomize")
_DETECTORS = ("retinaface", "yolo")
# Widgets that no rule reads.
_WITHOUT_EFFECT = ("console_log_level", "console_logging_level", "facedetection", "preserve_alpha")


@dataclass(frozen=True)
class Widget:
    """A widget of a foreign node.

    Attributes:
        name: Its id.
        default: Its default, whose type is that of its values.
        later: It was added between others after the first release, so older graphs have no value for it.
        choices: What a value may be; empty for anything of its type.
    """

    name: str
    default: Any
    later: bool = False
    choices: tuple[Any, ...] = ()

    def parse(self, value: Any) -> Any:
        """A value as the node takes it, such as 1.0 for 1.

        Raises:
            ValueError: No value of this widget.
        """
        if isinstance(self.default, bool):
            return _boolean(value)
        if isinstance(self.default, int | float):
            number = float(value) if isinstance(value, str) else value
            if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
                raise ValueError(value)
            parsed: Any = type(self.default)(number)
            if parsed != number:
                raise ValueError(value)
        else:
            if isinstance(value, bool | list | dict):
                raise ValueError(value)
            parsed = str(value)
        if self.choices and parsed not in self.choices:
            raise ValueError(value)
        if self.name == "facedetection" and not parsed.lower().startswith(_DETECTORS):
            raise ValueError(value)
        return parsed

    def convert(self, value: Any) -> Any:
        """A value that is given by name, as ComfyUI converts it before the node runs, such as "overwrite" to True.

        Raises:
            ValueError: No value of this widget.
        """
        if isinstance(self.default, bool):
            # ComfyUI takes any text for True, but whoever wrote "false" did not mean that.
            return value.strip().lower() not in ("", "false") if isinstance(value, str) else bool(value)
        if isinstance(self.default, int) and isinstance(value, float) and math.isfinite(value):
            value = int(value)
        return self.parse(value)

    def fits(self, value: Any) -> bool:
        """Whether a positional value may be that of this widget."""
        if isinstance(self.default, str) != isinstance(value, str):
            return False
        try:
            self.parse(value)
        except ValueError:
            return False
        return True


@dataclass(frozen=True)
class ForeignNode:
    """A node of another pack.

    Attributes:
        node_id: Its class.
        pack: The pack it belongs to.
        titles: Names under which menus have shown it.
        links: Its inputs for links.
        widgets: Its widgets.
        outputs: Types of its outputs.
        earlier: Its widgets in releases that had them in another order.
    """

    node_id: str
    pack: str
    titles: tuple[str, ...]
    links: tuple[str, ...]
    widgets: tuple[Widget, ...]
    outputs: tuple[str, ...]
    earlier: tuple[tuple[Widget, ...], ...] = ()

    def match_positions(self, values: list[Any]) -> dict[str, Any]:
        """Values of the widgets by name from those that a graph stores by position.

        Older graphs lack widgets that were added later, in the middle or at the end, and the editor may have stored
        values of its own in between.

        Raises:
            ValueError: Values that no release of this node has stored.
        """
        try:
            return _matched(self.widgets, values)
        except ValueError:
            for widgets in self.earlier:
                with suppress(ValueError):
                    return _matched(widgets, values)
            raise

    def match_names(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values of the widgets by name from those that a graph stores by name; others are left out.

        Raises:
            ValueError: A value that the node does not take.
        """
        matched = {}
        for widget in self.widgets:
            value = values.get(widget.name)
            if value is None:
                continue
            try:
                matched[widget.name] = widget.convert(value)
            except (TypeError, ValueError):
                if widget.name not in _WITHOUT_EFFECT:
                    raise ValueError(f"{value!r} is no value of {widget.name}") from None
        return matched


def _matched(widgets: Sequence[Widget], values: list[Any]) -> dict[str, Any]:
    """Values by name from those of one release by position; see `ForeignNode.match_positions`."""
    matched: dict[str, Any] = {}
    for value in values:
        rest = widgets
        while rest and rest[0].later and value is not None and not rest[0].fits(value):
            rest = rest[1:]
        if rest and (value is None or rest[0].fits(value)):
            widgets = rest[1:]
            if value is not None:
                matched[rest[0].name] = rest[0].parse(value)
        elif value is not None and value not in _EDITOR_VALUES:
            raise ValueError(f"{value!r} is no value of {rest[0].name if rest else 'any widget'}")
    return matched


def _boolean(value: Any) -> bool:
    if value in (True, False):
        return bool(value)
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise ValueError(value)
