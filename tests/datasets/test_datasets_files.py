"""Where a data file comes from, and what is said when it comes from nowhere."""

import hashlib
import http.server
import logging
import sys
import threading
from pathlib import Path

import pytest

from fairsteer.datasets import _base, fetch_adult, fetch_compas
from fairsteer.datasets._base import OriginalFile, cache_folder, locate

CONTENT = b"an original\n" * 5000
FILE = OriginalFile(
    "original.csv", "http://archive.invalid/original.csv", hashlib.sha256(CONTENT).hexdigest()
)

REAL_DOWNLOAD = _base._download


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Return an empty cache folder; no file is at hand and nothing may be downloaded."""
    folder = tmp_path / "cache"

    def unexpected(url, path):
        pytest.fail(f"downloads {url}")

    monkeypatch.delenv("FAIRSTEER_DATA", raising=False)
    monkeypatch.setattr(_base, "cache_folder", lambda: folder)
    monkeypatch.setattr(_base, "_download", unexpected)
    return folder


def put(folder, content=CONTENT):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE.name
    path.write_bytes(content)
    return path


def offline(url, path):
    path.write_bytes(CONTENT[:100])
    raise ConnectionError("Max retries exceeded with a long story")


def is_one_sentence(error):
    text = str(error.value)
    return text.endswith(".") and ". " not in text and "\n" not in text


class TestPlaces:
    def test_argument_before_environment_before_cache(self, tmp_path, cache, monkeypatch):
        in_cache = put(cache)
        assert locate(FILE) == in_cache
        in_home = put(tmp_path / "environment")
        monkeypatch.setenv("FAIRSTEER_DATA", str(in_home.parent))
        assert locate(FILE) == in_home
        in_argument = put(tmp_path / "argument")
        assert locate(FILE, in_argument.parent) == in_argument
        assert locate(FILE, str(in_argument.parent)) == in_argument

    def test_a_home_without_the_file_falls_through_to_the_cache(self, tmp_path, cache):
        path = put(cache)
        assert locate(FILE, tmp_path / "absent") == path

    def test_tilde_is_the_users_folder(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("USERPROFILE", str(tmp_path))
        path = put(tmp_path / "data")
        assert locate(FILE, "~/data") == path

    def test_an_empty_environment_variable_is_no_folder(self, tmp_path, cache, monkeypatch):
        monkeypatch.chdir(tmp_path)
        put(tmp_path, b"something else")
        path = put(cache)
        monkeypatch.setenv("FAIRSTEER_DATA", "")
        assert locate(FILE) == path

    def test_a_file_at_hand_needs_no_pooch(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "pooch", None)
        path = put(tmp_path / "home")
        assert locate(FILE, path.parent) == path

    def test_wrong_digest_is_one_sentence_and_the_file_stays(self, tmp_path, cache):
        put(cache)
        path = put(tmp_path / "home", b"edited by hand")
        with pytest.raises(ValueError, match="is not the original original.csv") as error:
            locate(FILE, path.parent)
        assert is_one_sentence(error)
        found = hashlib.sha256(b"edited by hand").hexdigest()
        for named in [str(path), found, FILE.sha256, FILE.url, "move it elsewhere"]:
            assert named in str(error.value)
        assert path.read_bytes() == b"edited by hand"

    def test_wrong_digest_in_the_cache_is_not_overwritten(self, cache):
        path = put(cache, b"half a fi")
        with pytest.raises(ValueError, match="its SHA-256 is .* expected"):
            locate(FILE)
        assert path.read_bytes() == b"half a fi"


class TestCacheFolder:
    @pytest.mark.parametrize("xdg", [None, "xdg"])
    def test_agrees_with_pooch(self, tmp_path, monkeypatch, xdg):
        pooch = pytest.importorskip("pooch")
        if xdg:
            monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / xdg))
        else:
            monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        assert cache_folder() == Path(pooch.os_cache("fairsteer"))

    def test_agrees_with_platformdirs_on_a_mac(self, monkeypatch):
        macos = pytest.importorskip("platformdirs.macos")
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setattr(sys, "platform", "darwin")
        assert cache_folder() == Path(macos.MacOS("fairsteer").user_cache_dir)

    def test_on_windows(self, tmp_path, monkeypatch):
        monkeypatch.setattr(sys, "platform", "win32")
        monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
        assert cache_folder() == tmp_path / "fairsteer" / "fairsteer" / "Cache"


class TestDownload:
    def test_goes_into_the_cache_and_is_found_there_next_time(self, tmp_path, cache, monkeypatch):
        asked = []

        def download(url, path):
            asked.append(url)
            path.write_bytes(CONTENT)

        monkeypatch.setattr(_base, "_download", download)
        home = tmp_path / "home"
        home.mkdir()
        for _ in range(2):
            assert locate(FILE, home) == cache / FILE.name
        assert asked == [FILE.url]
        assert (cache / FILE.name).read_bytes() == CONTENT
        assert [path.name for path in cache.iterdir()] == [FILE.name]
        assert not list(home.iterdir())

    def test_offline_is_one_sentence_and_leaves_nothing_half_written(self, cache, monkeypatch):
        monkeypatch.setattr(_base, "_download", offline)
        with pytest.raises(FileNotFoundError, match=r"could not be downloaded \(Conn") as error:
            locate(FILE)
        assert is_one_sentence(error)
        for named in [FILE.name, FILE.url, f"put it into {cache} or", "FAIRSTEER_DATA"]:
            assert named in str(error.value)
        assert error.value.__suppress_context__
        assert not list(cache.iterdir())

    def test_offline_names_every_place_searched(self, tmp_path, cache, monkeypatch):
        monkeypatch.setattr(_base, "_download", offline)
        with pytest.raises(FileNotFoundError) as error:
            locate(FILE, tmp_path / "home")
        assert f"is neither in {tmp_path / 'home'} nor in {cache}, and" in str(error.value)

    @pytest.mark.parametrize(
        ("fetch", "name", "address"),
        [
            (fetch_adult, "adult.data", "https://archive.ics.uci.edu/"),
            (
                fetch_compas,
                "compas-scores-two-years.csv",
                "https://raw.githubusercontent.com/propublica/compas-analysis/bafff5da",
            ),
        ],
    )
    def test_offline_fetch(self, monkeypatch, cache, fetch, name, address):
        monkeypatch.setattr(_base, "_download", offline)
        with pytest.raises(FileNotFoundError, match=f"^{name} is not in ") as error:
            fetch()
        assert address in str(error.value)
        assert str(cache) in str(error.value)

    def test_a_cache_folder_that_cannot_be_made(self, cache):
        cache.write_text("a file, not a folder")
        with pytest.raises(FileNotFoundError, match=r"could not be downloaded \(File exists\)"):
            locate(FILE)

    def test_other_bytes_are_not_kept(self, cache, monkeypatch):
        monkeypatch.setattr(_base, "_download", lambda url, path: path.write_bytes(b"log in"))
        with pytest.raises(ValueError, match="did not give the original original.csv") as error:
            locate(FILE)
        assert is_one_sentence(error)
        for named in [FILE.url, FILE.sha256, hashlib.sha256(b"log in").hexdigest(), str(cache)]:
            assert named in str(error.value)
        assert not list(cache.iterdir())

    def test_an_interrupted_download_leaves_nothing_half_written(self, cache, monkeypatch):
        def interrupted(url, path):
            path.write_bytes(CONTENT[:100])
            raise KeyboardInterrupt

        monkeypatch.setattr(_base, "_download", interrupted)
        with pytest.raises(KeyboardInterrupt):
            locate(FILE)
        assert not list(cache.iterdir())


class TestPooch:
    @pytest.fixture(autouse=True)
    def the_real_download(self, monkeypatch, cache):
        monkeypatch.setattr(_base, "_download", REAL_DOWNLOAD)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    @pytest.fixture
    def server(self, tmp_path):
        """Serve CONTENT on this machine, at /original.csv and nowhere else."""

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *args):
                super().__init__(*args, directory=tmp_path / "served")

            def log_message(self, *args):
                pass

        put(tmp_path / "served")
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}/"
            server.shutdown()

    def test_absent_is_one_sentence(self, cache, monkeypatch):
        monkeypatch.setitem(sys.modules, "pooch", None)
        with pytest.raises(ImportError, match="downloading it needs pooch") as error:
            locate(FILE)
        assert is_one_sentence(error)
        for named in [FILE.name, FILE.url, str(cache), 'pip install "fairsteer[compare]"']:
            assert named in str(error.value)
        assert not list(cache.iterdir())

    def test_downloads_in_silence(self, server, cache, capfd, caplog):
        pytest.importorskip("pooch")
        file = OriginalFile(FILE.name, server + FILE.name, FILE.sha256)
        with caplog.at_level(logging.INFO):
            path = locate(file)
        assert path.read_bytes() == CONTENT
        assert capfd.readouterr() == ("", "")
        assert "original.csv" not in " ".join(caplog.messages)

    def test_a_page_that_is_gone(self, server, cache):
        pytest.importorskip("pooch")
        file = OriginalFile("gone.csv", server + "gone.csv", FILE.sha256)
        with pytest.raises(FileNotFoundError, match=r"could not be downloaded \(HTTPError\)"):
            locate(file)
        assert not list(cache.iterdir())

    def test_nobody_answers(self, cache):
        pytest.importorskip("pooch")
        file = OriginalFile(FILE.name, "http://127.0.0.1:1/original.csv", FILE.sha256)
        with pytest.raises(FileNotFoundError, match=r"\(ConnectionError\)"):
            locate(file)
        assert not list(cache.iterdir())
