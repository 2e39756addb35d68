"""Save Identity, Load Identity."""

from comfy_api.latest import io

from ..styleswap_core.errors import StyleSwapError
from ..styleswap_core.identities.identity_reports import describe_identity
from ..styleswap_core.identities.reactor_files import load_any_identity
from ..styleswap_core.identities.saving import (
    EXISTING,
    FILE_FORMATS,
    NUMBER,
    REACTOR,
    STYLESWAP,
    check_storable,
    save_identity_as,
)
from .folders import NO_IDENTITY, identity_folder, identity_names, identity_path, reactor_folder
from .identity_names import check_filename, prepare_file
from .loaded_files import choice_state, loaded_state
from .sockets import Identity, identity_input, make_schema, unknown_choice
from .values import as_identity


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
                    options=list(FILE_FORMATS),
                    default=STYLESWAP,
                    tooltip="A ReActor face model requires an identity from the recognizer w600k_r50 (buffalo_l) and is"
                    " saved to models/reactor/faces.",
                ),
                io.Combo.Input(
                    "if_exists",
                    options=list(EXISTING),
                    default=NUMBER,
                    tooltip="What to do if the file already exists.",
                ),
                io.Boolean.Input(
                    "portrait",
                    default=False,
                    tooltip="Also store a portrait of the source face, cut from the image, in a StyleSwap identity."
                    " BlendSwap and UniFace need it.",
                    optional=True,
                ),
            ],
            outputs=[io.String.Output("file", display_name="file", tooltip="Name of the file, for Load Identity.")],
        )

    @classmethod
    def validate_inputs(
        cls, filename: str | None = None, file_format: str | None = None, if_exists: str | None = None
    ) -> bool | str:
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
        # Before the file gets its name.
        check_storable(single, file_format, portrait)
        folder = reactor_folder() if file_format == REACTOR else identity_folder()
        name = prepare_file(folder, filename, if_exists)
        save_identity_as(folder / name, single, file_format, portrait)
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
    def validate_inputs(cls, identity_file: str | None = None, file: str | None = NO_IDENTITY) -> bool | str:
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
    def fingerprint_inputs(cls, identity_file: str | None, file: str | None = NO_IDENTITY) -> str:
        """State of the file, so that the node runs again if it changes."""
        return choice_state(None if file is None else identity_file, identity_path)

    @classmethod
    def execute(cls, identity_file: str, file: str | None = None) -> io.NodeOutput:
        """Load `file`, or `identity_file` if it is not connected.

        Returns:
            The identity, and a report.

        Raises:
            StyleSwapError: The file does not exist, or does not hold an identity.
        """
        path = identity_path(file or identity_file)
        loaded_state(path)
        identity = load_any_identity(path)
        first, *others = describe_identity(identity)
        return io.NodeOutput(identity, "\n".join([f"{path.name}: {first}", *others]))
