"""Original files are found, downloaded and checked, and errors name them."""

import hashlib
import http.server
import sys
import threading
from pathlib import Path
from urllib.error import URLError

import pytest
from sklearn.datasets import fetch_file

from fairsteer.compare import UsageError, load_table
from fairsteer.datasets import _base, fetch_adult, fetch_compas
from fairsteer.datasets._base import OriginalFile, cache_folder, locate

CONTENT = b"an original\n" * 5000
FILE = OriginalFile(
    "original.csv", "http://archive.invalid/original.csv", hashlib.sha256(CONTENT).hexdigest()
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Return an empty cache folder; there are no other files, and downloads are refused."""
    folder = tmp_path / "cache"

    def unexpected(url, **_):
        pytest.fail(f"downloads {url}")

    monkeypatch.delenv("FAIRSTEER_DATA", raising=False)
    monkeypatch.setattr(_base, "cache_folder", lambda: folder)
    monkeypatch.setattr(_base, "fetch_file", unexpected)
    return folder


def put(folder, content=CONTENT):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE.name
    path.write_bytes(content)
    return path


def offline(url, **_):
    raise URLError("Temporary failure\nin name resolution")


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
    def test_on_linux(self, tmp_path, monkeypatch, xdg):
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setenv("HOME", str(tmp_path))
        if xdg:
            monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / xdg))
        else:
            monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        assert cache_folder() == tmp_path / (xdg or ".cache") / "fairsteer"

    def test_on_a_mac(self, tmp_path, monkeypatch):
        monkeypatch.setattr(sys, "platform", "darwin")
        monkeypatch.setenv("HOME", str(tmp_path))
        assert cache_folder() == tmp_path / "Library" / "Caches" / "fairsteer"

    def test_on_windows(self, tmp_path, monkeypatch):
        monkeypatch.setattr(sys, "platform", "win32")
        monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
        assert cache_folder() == tmp_path / "fairsteer" / "fairsteer" / "Cache"


class TestDownload:
    @pytest.fixture(autouse=True)
    def real_download(self, monkeypatch, cache):
        monkeypatch.setattr(_base, "fetch_file", fetch_file)
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

    def test_goes_silently_into_the_cache_and_happens_once(
        self, server, tmp_path, cache, monkeypatch, capfd
    ):
        file = OriginalFile(FILE.name, server + FILE.name, FILE.sha256)
        home = tmp_path / "home"
        home.mkdir()
        assert locate(file, home) == cache / FILE.name
        assert capfd.readouterr() == ("", "")
        assert (cache / FILE.name).read_bytes() == CONTENT
        assert [path.name for path in cache.iterdir()] == [FILE.name]
        assert not list(home.iterdir())
        monkeypatch.setattr(_base, "fetch_file", offline)
        assert locate(file, home) == cache / FILE.name

    def test_a_page_that_does_not_exist(self, server, cache):
        file = OriginalFile("gone.csv", server + "gone.csv", FILE.sha256)
        with pytest.raises(FileNotFoundError, match="HTTP Error 404") as error:
            locate(file)
        error.value.__context__.close()  # urllib leaves the response open.
        assert is_one_sentence(error)
        assert not list(cache.iterdir())

    def test_a_server_that_does_not_answer(self, cache):
        file = OriginalFile(FILE.name, "http://127.0.0.1:1/original.csv", FILE.sha256)
        with pytest.raises(FileNotFoundError, match="[Cc]onnection refused"):
            locate(file)
        assert not list(cache.iterdir())

    def test_a_file_with_another_digest_is_not_kept(self, server, cache):
        expected = "0" * 64
        with pytest.raises(FileNotFoundError) as error:
            locate(OriginalFile(FILE.name, server + FILE.name, expected))
        for named in (server + FILE.name, expected, FILE.sha256, str(cache)):
            assert named in str(error.value)
        assert not list(cache.iterdir())

    def test_an_interrupted_download_leaves_no_partial_file(self, cache, monkeypatch):
        def interrupted(url, path):
            Path(path).write_bytes(CONTENT[:100])
            raise KeyboardInterrupt

        monkeypatch.setattr("sklearn.datasets._base.urlretrieve", interrupted)
        with pytest.raises(KeyboardInterrupt):
            locate(FILE)
        assert not list(cache.iterdir())

    def test_a_cache_folder_that_cannot_be_created(self, cache):
        cache.write_text("a file, not a folder")
        with pytest.raises(FileNotFoundError, match="File exists"):
            locate(FILE)


class TestOffline:
    @pytest.fixture(autouse=True)
    def no_network(self, monkeypatch, cache):
        monkeypatch.setattr(_base, "fetch_file", offline)

    def test_one_sentence_says_where_to_put_the_file(self, cache):
        with pytest.raises(FileNotFoundError, match="Temporary failure in name") as error:
            locate(FILE)
        assert is_one_sentence(error)
        for named in (FILE.name, FILE.url, f"put it into {cache} or", "FAIRSTEER_DATA"):
            assert named in str(error.value)
        assert error.value.__suppress_context__

    def test_every_searched_folder_is_named(self, tmp_path, cache):
        with pytest.raises(FileNotFoundError) as error:
            locate(FILE, tmp_path / "home")
        assert str(tmp_path / "home") in str(error.value)
        assert str(cache) in str(error.value)

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
    def test_fetching_a_data_set(self, cache, fetch, name, address):
        with pytest.raises(FileNotFoundError, match=f"^{name} is not in ") as error:
            fetch()
        assert address in str(error.value)
        assert str(cache) in str(error.value)

    def test_the_command_line_gets_a_usage_error(self, cache):
        with pytest.raises(UsageError, match="compas-scores-two-years.csv"):
            load_table("compas")
        put(cache, b"something else").rename(cache / "compas-scores-two-years.csv")
        with pytest.raises(UsageError, match="SHA-256"):
            load_table("compas")
