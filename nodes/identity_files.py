"""Save Identity, Load Identity."""

from pathlib import Path, PurePosixPath

from comfy_api.latest import io

from ..styleswap_core.errors import StyleSwapError
from ..styleswap_core.identities.identity import Identity as PersonIdentity
from ..styleswap_core.identities.identity_format import save_identity
from ..styleswap_core.identities.reactor_files import load_any_identity, save_face_model
from .folders import NO_IDENTITY, file_state, identity_folder, identity_names, identity_path, reactor_folder
from .sockets import Identity, identity_input, make_schema, unknown_choice
from .values import as_identity

_OWN, _REACTOR = "StyleSwap identity", "ReActor face model"
_NUMBER, _OVERWRITE, _STOP = "add a number", "overwrite", "stop"
_SUFFIX = ".safetensors"
# Characters that Windows forbids in file names; refused everywhere, so that a workflow runs on every system.
_FORBIDDEN = set('<>:"|?*\\')


class SaveIdentity(io.ComfyNode):
    """Saves an identity to a file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Schema of the node."""
        return make_schema(
            node_id="StyleSwap_SaveIdentity",
            display_name="Save Identity",
            category="StyleSwap/identity",
            description="Saves an identity as a small safetensors file in models/styleswap/identities, or as a ReActor"
            " face model. A face embedding is personal data: treat it like a photograph.",
            search_aliases=["save face", "face model"],
            is_output_node=True,
            inputs=[
                identity_input("identity", "The identity to save."),
                io.String.Input(
                    "filename",
                    default="person",
                    tooltip="File name without suffix; subfolders are allowed, for example friends/anna.",
                ),
                io.Combo.Input(
                    "file_format",
                    options=[_OWN, _REACTOR],
                    default=_OWN,
                    tooltip="A ReActor face model requires an identity from the recognizer w600k_r50 (buffalo_l) and is"
                    " saved to models/reactor/faces.",
                ),
                io.Combo.Input(
                    "if_exists",
                    options=[_NUMBER, _OVERWRITE, _STOP],
                    default=_NUMBER,
                    tooltip="What to do if the file already exists.",
                ),
                io.Boolean.Input(
                    "portrait",
                    default=False,
                    tooltip="Also store a portrait of the source face, cut from the image, in a StyleSwap identity."
                    " BlendSwap and UniFace need it.",
                ),
            ],
            outputs=[io.String.Output("file", display_name="file", tooltip="Name of the file, for Load Identity.")],
        )

    @classmethod
    def validate_inputs(cls, filename: str | None, file_format: str, if_exists: str) -> bool | str:
        """True, or a message about the first unknown choice or an invalid file name."""
        if problem := unknown_choice(cls, file_format=file_format, if_exists=if_exists):
            return problem
        return check_filename(filename)

    @classmethod
    def execute(
        cls, identity: object, filename: str, file_format: str, if_exists: str, portrait: bool = False
    ) -> io.NodeOutput:
        """Write the file.

        Returns:
            Its path relative to the folder, with forward slashes.

        Raises:
            StyleSwapError: Not a single identity, an invalid name, a file that exists and may not be replaced, or a
                portrait is asked for and the identity or the format has none.
        """
        single = as_identity(identity, "identity")
        if portrait:
            _check_portrait(single, file_format)
        folder = reactor_folder() if file_format == _REACTOR else identity_folder()
        name = prepare_file(folder, filename, if_exists)
        if file_format == _REACTOR:
            save_face_model(folder / name, single)
        else:
            # Without the portrait the file contains no picture, as the help of the node promises.
            save_identity(folder / name, single, portrait=portrait)
        return io.NodeOutput(name.as_posix())


class LoadIdentity(io.ComfyNode):
    """Loads an identity from a file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Schema of the node."""
        return make_schema(
            node_id="StyleSwap_LoadIdentity",
            display_name="Load Identity",
            category="StyleSwap/identity",
            description="Loads an identity from models/styleswap/identities, or a ReActor face model from"
            " models/reactor/faces.",
            search_aliases=["load face", "face model"],
            inputs=[
                io.Combo.Input(
                    "identity_file", options=identity_names(), tooltip="A saved identity. Press R to refresh the list."
                ),
                io.String.Input(
                    "file",
                    optional=True,
                    force_input=True,
                    tooltip="Overrides identity_file: connect Save Identity to save and load in one run.",
                ),
            ],
            outputs=[
                Identity.Output("identity", display_name="identity", tooltip="For Swap Face."),
                io.String.Output("info", display_name="info", tooltip="Where the identity comes from."),
            ],
        )

    @classmethod
    def validate_inputs(cls, identity_file: str | None, file: str | None = NO_IDENTITY) -> bool | str:
        """True, or a message about a missing file."""
        # The value of a connected input is not known yet (None); its file is looked up when the node runs.
        if file is None or identity_file is None:
            return True
        try:
            identity_path(identity_file)
        except StyleSwapError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, identity_file: str, file: str | None = NO_IDENTITY) -> str:
        """State of the chosen file, so that the node runs again if it changes; empty if another node names the file."""
        if file is None or identity_file == NO_IDENTITY:
            return ""
        return file_state(identity_path(identity_file))

    @classmethod
    def execute(cls, identity_file: str, file: str | None = None) -> io.NodeOutput:
        """Load `file`, or `identity_file` if it is not connected.

        Returns:
            The identity, and a report.

        Raises:
            StyleSwapError: The file does not exist, or does not hold an identity.
        """
        path = identity_path(file or identity_file)
        identity = load_any_identity(path)
        lines = [
            f"{path.name}: recognizer {identity.recognizer}",
            f"source images: {len(identity.sources) or 'not recorded'}",
            f"identity {identity.fingerprint}",
        ]
        if identity.w_plus is not None:
            lines.append(f"inverted for the model {identity.generator_sha256[:16]}")
        return io.NodeOutput(identity, "\n".join(lines))


def _check_portrait(identity: PersonIdentity, file_format: str) -> None:
    if file_format == _REACTOR:
        raise StyleSwapError(f"a {_REACTOR} has no portrait; turn portrait off, or choose {_OWN}")
    if identity.portrait is None:
        raise StyleSwapError(
            "this identity has no portrait to save; turn portrait off, or connect Extract ArcFace ID, which cuts one"
            " from the images"
        )


def check_filename(filename: str | None) -> bool | str:
    """Result for ComfyUI's validation: True, or a message about an invalid file name.

    A name of None comes from another node and is not known yet.
    """
    try:
        return True if filename is None else bool(relative_path(filename))
    except StyleSwapError as error:
        return str(error)


def relative_path(filename: str) -> Path:
    """Path of an identity file relative to its folder.

    Args:
        filename: Name as the user wrote it, with or without suffix and subfolders.

    Raises:
        StyleSwapError: The name is empty, absolute, leads out of the folder, or is invalid on some system.
    """
    text = filename.strip().replace("\\", "/").removesuffix(_SUFFIX)
    parts = PurePosixPath(text).parts
    invalid = (
        not parts or text.startswith("/") or any(part in (".", "..") or part.endswith((" ", ".")) for part in parts)
    )
    if invalid or any(character in _FORBIDDEN or ord(character) < 32 for character in text):
        raise StyleSwapError(f"expected a file name such as anna or friends/anna, got {filename!r}; choose another one")
    return Path(*parts[:-1], parts[-1] + _SUFFIX)


def prepare_file(folder: Path, filename: str, if_exists: str = _NUMBER) -> Path:
    """Choose the path of a new identity file, relative to `folder`, and create its subfolder.

    Raises:
        StyleSwapError: `relative_path` refuses the name, the file exists and `if_exists` is "stop", or the subfolder
            cannot be created.
    """
    path = _resolve_existing(folder, relative_path(filename), if_exists)
    parent = (folder / path).parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StyleSwapError(f"cannot create the folder {parent}: {error.strerror}; choose another name") from error
    return path


def _resolve_existing(folder: Path, path: Path, if_exists: str) -> Path:
    if if_exists == _OVERWRITE or not (folder / path).exists():
        return path
    if if_exists == _STOP:
        raise StyleSwapError(
            f"{folder / path} already exists; choose another name, or set if_exists to add a number or overwrite"
        )
    number = 2
    while (folder / path.with_stem(f"{path.stem}_{number}")).exists():
        number += 1
    return path.with_stem(f"{path.stem}_{number}")
