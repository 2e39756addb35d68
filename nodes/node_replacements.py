"""Stand-ins for missing nodes of other packs, which newer versions of ComfyUI offer in an opened workflow."""

import logging


async def register_replacements() -> None:
    """Register the stand-ins with ComfyUI, if its version has them.

    The interface is new there, so a version that has changed it loses the stand-ins only, not the pack.
    """
    from comfy_api.latest import ComfyAPI, io

    api = ComfyAPI()
    if not hasattr(io, "NodeReplace") or not hasattr(api, "node_replacement"):
        return
    # Imported here, since older versions do not wait for it.
    from ..styleswap_core.migration.replacements import REPLACEMENTS

    try:
        for each in REPLACEMENTS:
            await api.node_replacement.register(
                io.NodeReplace(
                    new_node_id=each.new.node_id,
                    old_node_id=each.old.node_id,
                    old_widget_ids=each.widget_names,
                    input_mapping=each.input_mapping,
                    output_mapping=each.output_mapping,
                )
            )
    except (AttributeError, TypeError) as error:
        logging.warning("StyleSwap: missing nodes of other packs cannot be replaced in this ComfyUI: %s", error)
