"""Changes of files whose names another node gives."""

import pytest


@pytest.fixture
def files(pack):
    return pack("nodes.loaded_files")


def test_a_file_counts_as_changed_once_for_each_change_after_it_was_loaded(files, tmp_path):
    path = tmp_path / "one.safetensors"
    path.write_bytes(b"1")
    unloaded = files.changes_of_loaded_files()
    assert files.loaded_state(path) == files.file_state(path)
    assert files.changes_of_loaded_files() == unloaded
    path.write_bytes(b"12")
    changed = files.changes_of_loaded_files()
    assert changed != unloaded and files.changes_of_loaded_files() == changed
    path.unlink()
    assert files.changes_of_loaded_files() not in (unloaded, changed)


def test_files_that_no_node_has_loaded_do_not_count(files, tmp_path):
    before = files.changes_of_loaded_files()
    (tmp_path / "saved.safetensors").write_bytes(b"1")
    assert files.changes_of_loaded_files() == before


def test_a_file_that_is_loaded_again_after_a_change_counts_as_unchanged(files, tmp_path):
    """As after *Save Identity* has written it for *Load Identity*."""
    path = tmp_path / "again.safetensors"
    path.write_bytes(b"1")
    files.loaded_state(path)
    before = files.changes_of_loaded_files()
    path.write_bytes(b"12")
    files.loaded_state(path)
    assert files.changes_of_loaded_files() == before
