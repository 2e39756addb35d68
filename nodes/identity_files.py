"""Save Identity, Load Identity."""

from pathlib import Path, PurePosixPath

from comfy_api.latest import io

from ..styleswap_core.errors import StyleSwapError
from ..styleswap_core.identities.identity_format import save_identity
from ..styleswap_core.identities.reactor_files import load_any_identity, save_face_model
from .folders import NO_IDENTITY, file_state, identity_folder, identity_names, identity_path, reactor_folder
from .sockets import Identity, identity_input, make_schema, unknown_choice
from .values import as_identity

_OWN, _REACTOR = "StyleSwap identity", "ReActor face model"
_NUMBER, _OVERWRITE, _STOP = "add a number", "overwrite", "stop"
_SUFFIX = ".safetensors"
# What Windows does not allow in a file name; a workflow should run everywhere.
_FORBIDDEN = set('<>:"|?*\\')


class SaveIdentity(io.ComfyNode):
    """Identity -> file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Name, inputs and outputs, as ComfyUI shows them."""
        return make_schema(
            node_id="StyleSwap_SaveIdentity",
            display_name="Save Identity",
            category="StyleSwap/identity",
            description="Saves an identity as a small safetensors file in models/styleswap/identities, or as a ReActor face"
            " model. A face embedding is personal data: keep it as you would keep a photo.",
            search_aliases=["save face", "face model"],
            is_output_node=True,
            inputs=[
                identity_input("identity", "What to save"),
                io.String.Input(
                    "filename", default="person", tooltip="Name without suffix; folders are allowed: friends/anna"
                ),
                io.Combo.Input(
                    "file_format",
                    options=[_OWN, _REACTOR],
                    default=_OWN,
                    tooltip="ReActor's format takes identities of the recognizer w600k_r50 (buffalo_l) only and goes"
                    " to models/reactor/faces",
                ),
                io.Combo.Input(
                    "if_exists",
                    options=[_NUMBER, _OVERWRITE, _STOP],
                    default=_NUMBER,
                    tooltip="What to do where a file of that name is there already",
                ),
            ],
            outputs=[io.String.Output("file", display_name="file", tooltip="Name of the file, for Load Identity")],
        )

    @classmethod
    def validate_inputs(cls, filename: str, file_format: str, if_exists: str) -> bool | str:
        """True, or a sentence about a choice that is not offered or a name that leads out of the folder."""
        if problem := unknown_choice(cls, file_format=file_format, if_exists=if_exists):
            return problem
        try:
            return True if filename is None else bool(relative_name(filename))
        except StyleSwapError as error:
            return str(error)

    @classmethod
    def execute(cls, identity: object, filename: str, file_format: str, if_exists: str) -> io.NodeOutput:
        """Write the file; its name within the folder, with / between folders.

        Raises:
            StyleSwapError: no single identity, a bad name, or a file that is there already and may not be replaced.
        """
        folder = reactor_folder() if file_format == _REACTOR else identity_folder()
        name = prepare_file(folder, filename, if_exists)
        save = save_face_model if file_format == _REACTOR else save_identity
        save(folder / name, as_identity(identity, "identity"))
        return io.NodeOutput(name.as_posix())


class LoadIdentity(io.ComfyNode):
    """File -> identity."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Name, inputs and outputs, as ComfyUI shows them."""
        return make_schema(
            node_id="StyleSwap_LoadIdentity",
            display_name="Load Identity",
            category="StyleSwap/identity",
            description="Loads an identity from models/styleswap/identities, or a face model of ReActor from models/reactor/faces.",
            search_aliases=["load face", "face model"],
            inputs=[
                io.Combo.Input(
                    "identity_file", options=identity_names(), tooltip="A saved identity; press R to see new files"
                ),
                io.String.Input(
                    "file",
                    optional=True,
                    force_input=True,
                    tooltip="Takes the place of the choice above: from Save Identity, to save and load in one go",
                ),
            ],
            outputs=[
                Identity.Output("identity", display_name="identity", tooltip="For Swap Face"),
                io.String.Output("info", display_name="info", tooltip="Where it comes from"),
            ],
        )

    @classmethod
    def validate_inputs(cls, identity_file: str, file: str = NO_IDENTITY) -> bool | str:
        """True, or a sentence about a file that is not there."""
        # A connected file has no value yet (None), and is looked for when the node runs.
        if file is None or identity_file is None:
            return True
        try:
            identity_path(identity_file)
        except StyleSwapError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, identity_file: str, file: str = NO_IDENTITY) -> str:
        """What changes with the chosen file's content, so that the node runs again; empty where another node names the file."""
        if file is None or identity_file == NO_IDENTITY:
            return ""
        return file_state(identity_path(identity_file))

    @classmethod
    def execute(cls, identity_file: str, file: str | None = None) -> io.NodeOutput:
        """The identity, and a report; `file` goes before the chosen one.

        Raises:
            StyleSwapError: no such file, or one that holds no identity.
        """
        path = identity_path(file or identity_file)
        identity = load_any_identity(path)
        lines = [
            f"{path.name}: recognizer {identity.recognizer}",
            f"pictures it was made from: {len(identity.sources) or 'no record'}",
            f"identity {identity.fingerprint}",
        ]
        if identity.w_plus is not None:
            lines.append(f"with an inversion for the model {identity.generator_sha256[:16]}")
        return io.NodeOutput(identity, "\n".join(lines))


def relative_name(filename: str) -> Path:
    """The file below its folder.

    Raises:
        StyleSwapError: a name that is empty, absolute, leads out of the folder, or is not allowed everywhere.
    """
    text = filename.strip().replace("\\", "/").removesuffix(_SUFFIX)
    parts = PurePosixPath(text).parts
    bad = not parts or text.startswith("/") or any(part in (".", "..") or part.endswith((" ", ".")) for part in parts)
    if bad or any(character in _FORBIDDEN or ord(character) < 32 for character in text):
        raise StyleSwapError(f"expected a file name such as anna or friends/anna, got {filename!r}; choose another")
    return Path(*parts[:-1], parts[-1] + _SUFFIX)


def prepare_file(folder: Path, filename: str, if_exists: str = _NUMBER) -> Path:
    """The name below `folder` that a file is saved under, where one of that name may be there; its folder is made.

    Raises:
        StyleSwapError: a name that `relative_name` refuses, one that is taken where `if_exists` says to stop, or a folder
            that cannot be made.
    """
    name = _free_name(folder, relative_name(filename), if_exists)
    place = (folder / name).parent
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StyleSwapError(f"cannot make the folder {place}: {error.strerror}; choose another name") from error
    return name


def _free_name(folder: Path, name: Path, if_exists: str) -> Path:
    if if_exists == _OVERWRITE or not (folder / name).exists():
        return name
    if if_exists == _STOP:
        raise StyleSwapError(
            f"{folder / name} exists already; choose another name, or let the node number or overwrite it"
        )
    number = 2
    while (folder / name.with_stem(f"{name.stem}_{number}")).exists():
        number += 1
    return name.with_stem(f"{name.stem}_{number}")
