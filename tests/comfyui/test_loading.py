"""Loading from unusual folders, beside other packs, and without optional packages."""

import pytest
from comfy_server import ComfyError, ComfyServer, error_message, link_pack
from workflow_files import SYNTHETIC, default_inputs, small_prompt


def _own(server):
    return {name for name in server.get("/object_info") if name.startswith("StyleSwap_")}


def test_loads_from_a_folder_with_dots_and_spaces_beside_a_pack_with_nodes(tmp_path, own_nodes):
    name = "Style Swap.v1.2 (copy)"
    link_pack(tmp_path, name)
    other = tmp_path / "custom_nodes" / "AnotherPack"
    (other / "nodes").mkdir(parents=True)
    (other / "nodes" / "__init__.py").write_text("LABEL = 'the other pack'\n")
    (other / "__init__.py").write_text(
        "from .nodes import LABEL\n"
        "class Other:\n"
        "    @classmethod\n"
        "    def INPUT_TYPES(cls):\n"
        "        return {'required': {}}\n"
        "    RETURN_TYPES, FUNCTION, CATEGORY = ('STRING',), 'say', LABEL\n"
        "    def say(self):\n"
        "        return (LABEL,)\n"
        "NODE_CLASS_MAPPINGS = {'OtherNode': Other}\n"
    )
    with ComfyServer(tmp_path) as server:
        assert _own(server) == set(own_nodes)
        assert server.get("/object_info/OtherNode")["OtherNode"]["category"] == "the other pack"
        assert f"custom_nodes/{name}" not in "".join(_failed_imports(server.log()))
        server.run(small_prompt())


def test_without_insightface_all_nodes_load_and_errors_say_how_to_install_it(tmp_path, own_nodes):
    link_pack(tmp_path)
    with ComfyServer(tmp_path, blocked=("insightface",)) as server:
        assert _own(server) == set(own_nodes)
        assert not _failed_imports(server.log())
        entry = server.await_end(server.queue(small_prompt()))
        message = error_message(entry)
        assert "insightface" in message and "pip install" in message
        alone = {
            "1": {"class_type": SYNTHETIC, "inputs": default_inputs(own_nodes[SYNTHETIC]) | {"size": 128}},
            "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
        }
        server.run(alone)


def test_a_refused_prompt_is_reported_as_refused(server):
    with pytest.raises(ComfyError, match="refused"):
        server.queue({"1": {"class_type": "StyleSwap_SwapFace", "inputs": {}}})


def _failed_imports(log):
    return [line for line in log.splitlines() if "IMPORT FAILED" in line and "StyleSwap" in line.replace(" ", "")]
