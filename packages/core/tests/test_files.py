"""Writing: a file or a folder is the old one or the new one, whatever happens in between."""

import errno
import hashlib
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import poseworks.core.files as files
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.files import atomic_folder, atomic_path, refuse_existing, sha256

posix = pytest.mark.skipif(os.name != "posix", reason="signals, limits and modes are POSIX's")


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def fail_half_way(path: Path, error: BaseException) -> None:
    path.write_bytes(b"half of the new")
    raise error


def run_python(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class TestRefuseExisting:
    def test_only_what_exists_is_refused(self, tmp_path: Path) -> None:
        refuse_existing(tmp_path / "new", overwrite=False)
        with pytest.raises(ConfigError, match=r"already exists\. Name another output, or allow it with --overwrite\."):
            refuse_existing(tmp_path, overwrite=False)
        refuse_existing(tmp_path, overwrite=True)


class TestAtomicPath:
    def test_the_file_appears_when_the_block_ends(self, tmp_path: Path) -> None:
        target = tmp_path / "poses.npz"
        with atomic_path(target) as temporary:
            assert temporary.suffix == ".npz"  # NumPy would add it
            assert temporary.parent == tmp_path
            temporary.write_bytes(b"new")
            assert not target.exists()
        assert target.read_bytes() == b"new"
        assert names(tmp_path) == ["poses.npz"]

    def test_an_old_file_is_replaced_as_a_whole(self, tmp_path: Path) -> None:
        target = tmp_path / "a.txt"
        target.write_bytes(b"a longer old file")
        with atomic_path(target) as temporary:
            temporary.write_bytes(b"new")
            assert target.read_bytes() == b"a longer old file"
        assert target.read_bytes() == b"new"

    @pytest.mark.parametrize("error", [RuntimeError("ours"), KeyboardInterrupt(), SystemExit(1), DataError("bad")])
    def test_an_error_in_the_block_leaves_the_old_file_and_nothing_else(
        self, tmp_path: Path, error: BaseException
    ) -> None:
        target = tmp_path / "a.txt"
        target.write_bytes(b"old")
        with pytest.raises(type(error)), atomic_path(target) as temporary:
            fail_half_way(temporary, error)
        assert target.read_bytes() == b"old"
        assert names(tmp_path) == ["a.txt"]

    def test_a_full_disk_is_told_by_its_name(self, tmp_path: Path) -> None:
        target = tmp_path / "a.txt"
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with pytest.raises(DataError) as caught, atomic_path(target):
            raise full
        assert str(caught.value) == f"{target}: cannot be written (No space left on device). Nothing was changed."
        assert names(tmp_path) == []

    @posix
    @pytest.mark.parametrize(
        "writer", ["temporary.write_bytes(bytes(300_000))", "np.savez(temporary, x=np.ones(90_000))"]
    )
    def test_a_real_limit_on_the_size_leaves_the_old_file(self, tmp_path: Path, writer: str) -> None:
        """A limit on file sizes fails in the middle of a write, as a full disk does."""
        target = tmp_path / "a.npz"
        target.write_bytes(b"old")
        code = (
            "import resource, sys; import numpy as np\n"
            "from poseworks.core.files import atomic_path\n"
            "from poseworks.core.errors import DataError\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
            "try:\n"
            "    with atomic_path(sys.argv[1]) as temporary:\n"
            f"        {writer}\n"
            "except DataError as error: print(error)\n"
        )
        out, errors = run_python(code, target).communicate(timeout=60)
        assert out == f"{target}: cannot be written (File too large). Nothing was changed.\n", errors
        assert target.read_bytes() == b"old"
        assert names(tmp_path) == ["a.npz"]

    @posix
    def test_a_process_killed_in_the_middle_leaves_the_old_file(self, tmp_path: Path) -> None:
        target = tmp_path / "a.bin"
        target.write_bytes(b"old")
        code = (
            "import sys, time\n"
            "from poseworks.core.files import atomic_path\n"
            "with atomic_path(sys.argv[1]) as temporary, temporary.open('wb') as stream:\n"
            "    stream.write(bytes(1_000_000)); stream.flush()\n"
            "    print('half', flush=True); time.sleep(60)\n"
        )
        process = run_python(code, target)
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        process.send_signal(signal.SIGKILL)
        assert process.wait(timeout=60) == -signal.SIGKILL
        process.communicate()
        assert target.read_bytes() == b"old"
        left = [name for name in names(tmp_path) if name != "a.bin"]
        assert all(name.startswith(".a-") for name in left)  # hidden, and never taken for the output

    @posix
    def test_killed_at_any_time_the_file_is_one_of_the_whole_ones(self, tmp_path: Path) -> None:
        code = (
            "import sys\n"
            "from poseworks.core.files import atomic_path\n"
            "number = 0\n"
            "while True:\n"
            "    number += 1\n"
            "    with atomic_path(sys.argv[1]) as temporary:\n"
            "        temporary.write_bytes(bytes([number % 256]) * 200_000)\n"
            "    if number == 3: print('going', flush=True)\n"
        )
        target = tmp_path / "a.bin"
        for delay in (0.0, 0.011, 0.023):
            process = run_python(code, target)
            assert process.stdout is not None
            assert process.stdout.readline() == "going\n"
            time.sleep(delay)
            process.kill()
            process.communicate()
            data = target.read_bytes()
            assert len(data) == 200_000
            assert len(set(data)) == 1

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        message = r"the folder .*nowhere does not exist\. Create it first\."
        with pytest.raises(DataError, match=message), atomic_path(tmp_path / "nowhere" / "a.txt"):
            pytest.fail("the block must not run")
        assert names(tmp_path) == []

    def test_a_folder_that_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x")
        with pytest.raises(DataError, match=r"cannot be written|does not exist"), atomic_path(tmp_path / "file" / "a"):
            pytest.fail("the block must not run")

    @pytest.mark.parametrize("target", ["folder", "pipe"])
    def test_what_is_no_file_is_not_replaced(self, tmp_path: Path, target: str) -> None:
        """As root, `-o /dev/null --overwrite` would otherwise turn the device into a file."""
        (tmp_path / "folder").mkdir()
        if target == "pipe":
            if not hasattr(os, "mkfifo"):
                pytest.skip("no named pipes here")
            os.mkfifo(tmp_path / "pipe")
        before = names(tmp_path)
        with pytest.raises(DataError, match="is no regular file"), atomic_path(tmp_path / target):
            pytest.fail("the block must not run")
        assert names(tmp_path) == before

    def test_failing_to_read_an_input_is_not_blamed_on_the_output(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        out.mkdir()
        with pytest.raises(FileNotFoundError), atomic_path(out / "a.txt"):
            (tmp_path / "input").read_text()
        assert names(out) == []

    @posix
    def test_the_mode_is_that_of_any_new_file(self, tmp_path: Path) -> None:
        old = os.umask(0o027)
        try:
            with atomic_path(tmp_path / "a"), atomic_folder(tmp_path / "b"):
                pass
        finally:
            os.umask(old)
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640
        assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o750

    @pytest.mark.parametrize("name", ["x" * 251 + ".npz", "é" * 120 + ".npz", ".hidden", "a b", "-o"])
    def test_unusual_names(self, tmp_path: Path, name: str) -> None:
        with atomic_path(tmp_path / name) as temporary:
            temporary.write_bytes(b"x")
        assert names(tmp_path) == [name]

    def test_a_name_without_a_folder_is_beside_us(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        with atomic_path("a.txt") as temporary:
            temporary.write_bytes(b"x")
        with atomic_folder("b") as folder:
            (folder / "c").write_bytes(b"x")
        assert names(tmp_path) == ["a.txt", "b"]


class TestAtomicFolder:
    def test_the_folder_appears_when_the_block_ends(self, tmp_path: Path) -> None:
        target = tmp_path / "deep" / "model"
        with atomic_folder(target) as temporary:
            (temporary / "config.json").write_text("{}")
            assert not target.exists()
        assert names(target) == ["config.json"]
        assert names(target.parent) == ["model"]

    def test_an_old_folder_is_kept_unless_allowed(self, tmp_path: Path) -> None:
        target = tmp_path / "model"
        target.mkdir()
        (target / "old.json").write_text("{}")
        with pytest.raises(ConfigError, match="already exists"), atomic_folder(target):
            pytest.fail("the block must not run")
        assert names(target) == ["old.json"]
        with atomic_folder(target, overwrite=True) as temporary:
            (temporary / "new.json").write_text("{}")
            assert names(target) == ["old.json"]
        assert names(target) == ["new.json"]
        assert names(tmp_path) == ["model"]

    @pytest.mark.parametrize("one_step", [True, False])
    def test_with_and_without_a_swap_in_one_step(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_step: bool
    ) -> None:
        if not one_step:
            monkeypatch.setattr(files.ctypes, "CDLL", lambda name: object())
        target = tmp_path / "model"
        for content in ("1", "2", "3"):
            with atomic_folder(target, overwrite=True) as temporary:
                (temporary / "a.json").write_text(content)
            assert (target / "a.json").read_text() == content
            assert names(tmp_path) == ["model"]

    def test_a_swap_that_fails_half_way_is_undone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(files.ctypes, "CDLL", lambda name: object())
        target = tmp_path / "model"
        target.mkdir()
        (target / "a.json").write_text("old")
        rename = Path.rename

        def fails_once(self: Path, to: Path) -> Path:
            if Path(to) == target and not self.name.endswith(".old"):
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return rename(self, to)

        monkeypatch.setattr(Path, "rename", fails_once)
        with pytest.raises(DataError, match="Nothing was changed"), atomic_folder(target, overwrite=True) as temporary:
            (temporary / "a.json").write_text("new")
        assert (target / "a.json").read_text() == "old"
        assert names(tmp_path) == ["model"]

    def test_a_folder_with_other_things_in_it_is_not_replaced(self, tmp_path: Path) -> None:
        """`-o ~ --overwrite` must not delete a home."""
        target = tmp_path / "home"
        (target / "photos").mkdir(parents=True)
        (target / "thesis.txt").write_text("years of work")
        with (
            pytest.raises(DataError, match=r"home: holds what this does not write: photos, thesis\.txt\. Remove it"),
            atomic_folder(target, overwrite=True) as temporary,
        ):
            (temporary / "config.json").write_text("{}")
        assert names(target) == ["photos", "thesis.txt"]
        assert names(tmp_path) == ["home"]

    def test_a_file_is_not_replaced_by_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_text("x")
        with pytest.raises(DataError, match="is no folder"), atomic_folder(tmp_path / "a", overwrite=True):
            pytest.fail("the block must not run")
        assert (tmp_path / "a").read_text() == "x"

    def test_an_error_in_the_block_leaves_nothing_or_the_old_folder(self, tmp_path: Path) -> None:
        target = tmp_path / "model"
        for before in ([], ["model"]):
            with pytest.raises(RuntimeError), atomic_folder(target, overwrite=True) as temporary:
                fail_half_way(temporary / "half.json", RuntimeError("ours"))
            assert names(tmp_path) == before
            target.mkdir(exist_ok=True)

    def test_a_full_disk(self, tmp_path: Path) -> None:
        message = r"model: cannot be written \(No space left on device\)"
        with pytest.raises(DataError, match=message), atomic_folder(tmp_path / "model"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        assert names(tmp_path) == []

    @posix
    def test_killed_at_any_time_the_folder_is_one_of_the_whole_ones(self, tmp_path: Path) -> None:
        code = (
            "import sys\n"
            "from poseworks.core.files import atomic_folder\n"
            "number = 0\n"
            "while True:\n"
            "    number += 1\n"
            "    with atomic_folder(sys.argv[1], overwrite=True) as folder:\n"
            "        for name in 'abc': (folder / name).write_text(str(number))\n"
            "    if number == 3: print('going', flush=True)\n"
        )
        target = tmp_path / "model"
        for delay in (0.0, 0.003, 0.007):
            process = run_python(code, target)
            assert process.stdout is not None
            assert process.stdout.readline() == "going\n"
            time.sleep(delay)
            process.kill()
            process.communicate()
            if sys.platform == "linux":
                assert names(target) == ["a", "b", "c"]
                assert len({(target / name).read_text() for name in "abc"}) == 1


def test_sha256_is_hashlibs(tmp_path: Path) -> None:
    data = np.random.default_rng(0).bytes(3_000_000)
    (tmp_path / "a").write_bytes(data)
    assert sha256(tmp_path / "a") == hashlib.sha256(data).hexdigest()
