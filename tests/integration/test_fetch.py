"""Files by address and SHA-256: from disk and from a server of the test's own, whole, resumed and refused."""

import hashlib
import http.server
import threading
import unittest

from tests.integration import lib

CONTENT = bytes(range(256)) * 4096


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT at /file, with ranges unless told otherwise; /absent is 404."""

    def do_GET(self):
        self.server.requests.append((self.path, self.headers.get("Range")))
        if self.path != "/file":
            self.send_error(404)
            return
        start = 0
        wanted = self.headers.get("Range")
        if wanted and self.server.ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start:])

    def log_message(self, *_):
        pass


@lib.needs_tool("mkfs.erofs")
class Fetch(lib.TestCase):
    def setUp(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.requests, self.server.ranges = [], True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()
        self.sha256 = hashlib.sha256(CONTENT).hexdigest()

    def tearDown(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def url(self, path="/file"):
        return f"http://127.0.0.1:{self.server.server_port}{path}"

    def profile(self, url, sha256=None):
        return self.write("p.toml", 'schema = 1\nextends = "native"\n[stack]\n'
                                    'compat = "off"\nfinish = "off"\n'
                                    f'base = {{ url = "{url}", sha256 = "{sha256 or self.sha256}" }}\n')

    def build(self, url, sha256=None, **options):
        return self.orch("build", self.profile(url, sha256), "--only", "fetch", env={"no_proxy": "127.0.0.1"}, **options)

    def test_a_file_is_brought_once_and_kept_by_its_digest(self):
        self.build(self.url())
        kept = self.tmp / "cache/appimage-orch/downloads/sha256" / self.sha256
        self.assertEqual(kept.read_bytes(), CONTENT)
        self.assertEqual(len(self.server.requests), 1)
        self.build(self.url())
        self.build(self.url("/moved"))  # where it comes from is no part of what it is
        self.assertEqual(len(self.server.requests), 1)

    def test_a_broken_download_goes_on_where_it_stopped(self):
        for ranges, requests in ((True, ["bytes=1000-"]), (False, ["bytes=1000-", None])):
            with self.subTest(ranges=ranges):
                self.server.ranges = ranges
                self.server.requests.clear()
                lib.remove_tree(self.tmp / "cache") if (self.tmp / "cache").exists() else None
                self.write(f"cache/appimage-orch/downloads/partial/{self.sha256}", CONTENT[:1000])
                self.build(self.url())
                self.assertEqual([r for _, r in self.server.requests], requests)

    def test_a_wrong_beginning_is_thrown_away(self):
        self.write(f"cache/appimage-orch/downloads/partial/{self.sha256}", b"z" * 1000)
        self.build(self.url())
        self.assertEqual(len(self.server.requests), 2)

    def test_other_bytes_than_named_are_refused_and_nothing_is_kept(self):
        ran = self.build(self.url(), "0" * 64, status=1)
        self.assertIn("is not what the profile names: expected sha256 " + "0" * 64, ran.stderr)
        self.assertIn("found " + self.sha256, ran.stderr)
        self.assertFalse((self.tmp / "cache/appimage-orch/downloads/sha256" / ("0" * 64)).exists())

    def test_an_absent_file_and_an_absent_server_are_told_apart(self):
        self.assertIn("404", self.build(self.url("/absent"), status=1).stderr)
        ran = self.build("http://127.0.0.1:9/file", status=1)
        self.assertIn("check the network and try again", ran.stderr)

    def test_files_of_this_machine_can_be_named(self):
        file = self.write("image.erofs", CONTENT)
        self.build(f"file://{file}")
        self.assertEqual(self.server.requests, [])
        self.assertIn("no address that can be fetched", self.build("ftp://127.0.0.1/x", "1" * 64, ok=False).stderr)


if __name__ == "__main__":
    unittest.main()
