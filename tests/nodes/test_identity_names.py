"""Names of identity files."""

from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def names(pack):
    return pack("nodes.identity_names")


@pytest.fixture(scope="module")
def error(pack):
    return pack("styleswap_core.errors").StyleSwapError


@pytest.mark.parametrize(
    "name", ["anna", "friends/anna", "friends\\anna.safetensors", "Zo\u00eb \u5317\u4eac", "console", "com10"]
)
def test_names_of_all_systems_are_accepted(names, name):
    assert names.check_filename(name) is True
    assert names.relative_path(name).suffix == ".safetensors"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/x",
        "../x",
        "a/../x",
        "a:b",
        "a.",
        "CON",
        "nul",
        "friends/com1.old",
        "LPT9/x",
        "aux .x",
        "a\x1b[1m",
        "a\0",
    ],
)
def test_names_that_some_system_does_not_allow_are_refused(names, error, name):
    assert "expected a file name such as anna" in names.check_filename(name)
    with pytest.raises(error, match="choose another one"):
        names.relative_path(name)


def test_long_names_are_refused_before_they_are_written(names, error, tmp_path):
    with pytest.raises(error, match="at most 200 bytes"):
        names.relative_path("\u5f20" * 67)
    (tmp_path / ("a" * 200 + ".safetensors")).write_bytes(b"")
    assert names.prepare_file(tmp_path, "a" * 200) == Path("a" * 200 + "_2.safetensors")
