"""Files by address and SHA-256: from disk and from a server of the test's own, whole, resumed and refused."""

import functools
import hashlib
import http.server
import ssl
import threading
import unittest

from tests.integration import lib
from tests.integration.repository import Repository
from tests.integration.rpm_repository import RpmRepository, needs_rpm_tools

CONTENT = bytes(range(256)) * 4096


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT at /file, with ranges unless told otherwise; /endless never ends, /moved leads to `server.target`; the
    rest is 404."""

    def do_GET(self):
        self.server.requests.append((self.path, self.headers.get("Range")))
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", self.server.target)
            self.send_header("Content-Length", str(len(self.server.page)))
            self.end_headers()
            self.send(self.server.page)
            return
        if self.path == "/endless":
            self.send_endless()
            return
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
        self.send(CONTENT[start:])

    def send(self, content):
        try:
            self.wfile.write(content)
        except OSError:
            pass  # whoever asked has seen enough

    def send_endless(self):
        self.send_response(200)
        self.end_headers()
        try:
            while self.server.sent < 1 << 30:
                self.server.sent += len(CONTENT)
                self.wfile.write(CONTENT)
        except OSError:
            pass

    def log_message(self, *_):
        pass


class Archive(http.server.SimpleHTTPRequestHandler):
    """A folder, with packages that never end."""

    def do_GET(self):
        if self.path.endswith((".deb", ".rpm")):
            Handler.send_endless(self)
        else:
            super().do_GET()

    def log_message(self, *_):
        pass


class Served(lib.TestCase):
    def serve(self, handler=Handler):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.requests, server.ranges, server.sent, server.target, server.page = [], True, 0, "", b""
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        self.addCleanup(server.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(server.shutdown)
        return server


@lib.needs_tool("mkfs.erofs")
class Fetch(Served):
    def setUp(self):
        self.server = self.serve()
        self.sha256 = hashlib.sha256(CONTENT).hexdigest()

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


    def locked_fex(self, url, size):
        """A profile with a lock that knows how large the image is."""
        profile = self.write("p.toml", 'schema = 1\nextends = "native"\n[stack]\ncompat = "off"\nfinish = "off"\n'
                                       'base = { fex = "F" }\n')
        self.write("p.lock.toml", f'version = 2\n\n[[image]]\nname = "base"\nfex = "F"\nurl = "{url}"\n'
                                  f'xxh3 = "0123456789abcdef"\nsha256 = "{self.sha256}"\nsize = {size}\n')
        return profile

    def fetch_locked(self, url, size, **options):
        return self.orch("build", self.locked_fex(url, size), "--only", "fetch-fex", env={"no_proxy": "127.0.0.1"}, **options)

    def test_more_bytes_than_the_lock_says_end_a_download(self):
        ran = self.fetch_locked(self.url("/endless"), len(CONTENT), status=1)
        self.assertIn(f"'{self.url('/endless')}' is not what is expected: it has more than {len(CONTENT)} bytes", ran.stderr)
        self.assertIn("hint: correct the address", ran.stderr)
        self.assertLess(self.server.sent, 1 << 28)
        ran = self.fetch_locked(self.url(), len(CONTENT) - 1, status=1)
        self.assertIn(f"is not what is expected: it has more than {len(CONTENT) - 1} bytes", ran.stderr)
        partial = self.tmp / "cache/appimage-orch/downloads/partial" / self.sha256
        self.assertEqual(partial.stat().st_size, 0)
        # What is left of another file may be larger than this one.
        partial.write_bytes(b"z" * (len(CONTENT) + 5))
        self.fetch_locked(self.url(), len(CONTENT))

    def test_a_download_of_a_known_size_goes_on_or_begins_anew(self):
        partial = self.tmp / "cache/appimage-orch/downloads/partial" / self.sha256
        for ranges, kept, requests in ((True, CONTENT[:1000], ["bytes=1000-"]), (False, CONTENT[:1000], ["bytes=1000-", None]),
                                       (True, b"z" * 1000, ["bytes=1000-", None])):
            with self.subTest(ranges=ranges, kept=kept[:1]):
                self.server.ranges = ranges
                self.server.requests.clear()
                lib.remove_tree(self.tmp / "cache") if (self.tmp / "cache").exists() else None
                self.write(partial.relative_to(self.tmp), kept)
                self.fetch_locked(self.url(), len(CONTENT))
                self.assertEqual([r for _, r in self.server.requests], requests)

    def test_a_redirection_with_a_page_larger_than_the_file(self):
        self.server.target = self.url()
        self.server.page = b"moved " * len(CONTENT)
        self.fetch_locked(self.url("/moved"), len(CONTENT))

    def test_a_list_of_images_that_does_not_end_is_refused(self):
        profile = self.write("p.toml", 'schema = 1\nextends = "native"\n[stack]\ncompat = "off"\nfinish = "off"\n'
                                       f'base = {{ fex = "F" }}\n[fex]\nlist = "{self.url("/endless")}"\n')
        ran = self.orch("lock", profile, env={"no_proxy": "127.0.0.1"}, ok=False)
        self.assertIn("is not what is expected: it has more than 4194304 bytes", ran.stderr)
        self.assertLess(self.server.sent, 1 << 28)

    def test_redirections_are_followed(self):
        self.server.target = self.url()
        self.build(self.url("/moved"))
        self.server.target = "file:///etc/os-release"
        self.assertIn("cannot be downloaded", self.build(self.url("/moved"), "1" * 64, status=1).stderr)

    @lib.needs_tool("openssl", "unshare", "mount")
    def test_https_does_not_lead_to_http(self):
        if not lib.is_root() or lib.run_command(["unshare", "-m", "true"]).status != 0:
            self.skipTest("needs root and a mount namespace, to have a certificate of its own")
        bundle = "/etc/ssl/certs/ca-certificates.crt"
        if not lib.os.path.exists(bundle):
            self.skipTest("the certificates are elsewhere")
        key, certificate = self.tmp / "key.pem", self.tmp / "certificate.pem"
        lib.run_command(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate,
                         "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"])
        secure = self.serve()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        secure.socket = context.wrap_socket(secure.socket, server_side=True)
        base = f"https://127.0.0.1:{secure.server_port}"
        within = ["unshare", "-m", "sh", "-c", f'mount --bind "$0" {bundle} && exec "$@"', certificate, lib.BINARY, "build"]

        def build(target):
            secure.target = target
            return lib.run_command([*within, self.profile(f"{base}/moved"), "--only", "fetch"], cwd=self.tmp,
                                   env=self.environment(no_proxy="127.0.0.1"))
        ran = build(self.url())
        self.assertEqual(ran.status, 1, msg=str(ran))
        self.assertIn(f"'{base}/moved' cannot be downloaded: Protocol \"http\"", ran.stderr)
        self.assertEqual(self.server.requests, [])
        ran = build(f"{base}/file")
        self.assertEqual(ran.status, 0, msg=str(ran))

        lib.remove_tree(self.tmp / "cache")
        base = base.replace("https", "HTTPS")
        ran = build(self.url())
        self.assertIn(f"'{base}/moved' cannot be downloaded: Protocol \"http\"", ran.stderr)
        self.assertEqual(self.server.requests, [])


class LargerPackages(Served):
    def build(self, folder, table):
        self.server = self.serve(functools.partial(Archive, directory=folder))
        table = table.replace(f"file://{folder}", f"http://127.0.0.1:{self.server.server_port}")
        table = table.replace(f"file:{folder}", f"http://127.0.0.1:{self.server.server_port}")
        profile = self.write("p.toml", 'schema = 1\nextends = "native"\n[stack]\ncompat = "off"\nfinish = "off"\n'
                                       f'base = {{ packages = ["data"], source = "own" }}\n[source.own]\n{table}')
        ran = self.orch("build", profile, env={"no_proxy": "127.0.0.1"}, ok=False)
        self.assertGreater(self.server.sent, 0, msg=str(ran))
        self.assertLess(self.server.sent, 1 << 28)
        return ran.stderr

    @lib.needs_tool("apt-get", "mkfs.erofs")
    def test_apt_is_told_how_large_a_package_is(self):
        repository = Repository(self.tmp / "repository").add("data", "1.0", {"./usr/share/data": b"d"}).publish()
        self.assertIn("package 'data' 1.0 is not what the lock file names: expected ", self.build(repository.folder, repository.table()))

    @needs_rpm_tools
    def test_a_package_of_a_repository_is_no_larger_than_its_list_says(self):
        repository = RpmRepository(self.tmp / "repository")
        self.addCleanup(repository.close)
        size = repository.add("data", "1.0", {"/usr/share/data": b"d"}, architecture="noarch").stat().st_size
        repository.publish()
        errors = self.build(repository.folder, repository.table())
        self.assertIn(f"is not what is expected: it has more than {size} bytes", errors)
        self.assertIn("downloading package 'data' 1.0-1.fc42: '", errors)


if __name__ == "__main__":
    unittest.main()
