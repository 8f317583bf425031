"""A base by its name in FEX's list: fetched once, held against the list's sum, locked by SHA-256, made mountable."""

import http.server
import json
import shutil
import threading
import unittest

from tests.integration import lib


class Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *arguments, **more):
        super().__init__(*arguments, directory=self.folder, **more)

    def do_GET(self):
        self.requests.append(self.path)
        super().do_GET()

    def log_message(self, *_):
        pass


@lib.needs_tool("mksquashfs", "mkfs.erofs", "xxhsum")
class FexBase(lib.TestCase):
    def setUp(self):
        self.folder = self.tmp / "served"
        self.folder.mkdir()
        tree = lib.copy_programs(self.tmp / "root", ["/bin/sh", "/bin/echo"])
        lib.make_tree(tree, {"etc/os-release": 'ID=fedora\nVERSION_ID=42\n'})
        self.squash = self.folder / "Fedora_42.sqsh"
        lib.run_command(["mksquashfs", tree, self.squash, "-quiet", "-no-progress", "-all-root"])
        self.handler = type("Handler", (Handler,), {"folder": str(self.folder), "requests": []})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()
        self.addCleanup(self.stop)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.write_list()
        lib.make_appimage(self.tmp / "app.AppImage",
                          lib.make_tree(self.tmp / "app", {"AppRun": "#!/bin/sh\necho it runs\n"}))
        self.profile = self.write("app.toml", 'schema = 1\nextends = "native"\n[app]\nappimage = "app.AppImage"\n'
                                              f'[fex]\nlist = "{self.address}/list.json"\n[stack]\nbase = {{ fex = "Fedora 42" }}\n')

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def write_list(self, digest=None):
        found = lib.run_command(["xxhsum", "-H3", self.squash]).stdout.split()
        digest = digest or next(w for w in found if len(w.split("_")[-1]) == 16).split("_")[-1]
        image = {"DistroMatch": "fedora", "DistroVersion": "42", "URL": f"{self.address}/Fedora_42.sqsh", "Hash": digest,
                 "Type": "squashfs"}
        (self.folder / "list.json").write_text(json.dumps({"v1": {"Fedora 42 (SquashFS)": image}}))

    def orch(self, *words, **more):
        return super().orch(*words, env={"no_proxy": "127.0.0.1"}, **more)

    def test_it_is_locked_converted_and_run(self):
        ran = self.orch("run", self.profile, status=0)
        self.assertEqual(ran.stdout.strip(), "it runs")
        lock = (self.tmp / "app.lock.toml").read_text()
        self.assertIn('fex = "Fedora 42"', lock)
        self.assertIn(f'url = "{self.address}/Fedora_42.sqsh"', lock)
        self.assertEqual(self.handler.requests, ["/list.json", "/Fedora_42.sqsh"])
        again = self.orch("build", self.profile, "--format", "json").json
        self.assertEqual((again["executed"], again["cached"]), (0, 0))
        self.assertEqual(len(self.handler.requests), 2)

        # From the lock alone: the list is not asked again.
        shutil.rmtree(self.tmp / "cache")
        self.orch("build", self.profile, "--locked", status=0)
        self.assertEqual(self.handler.requests[2:], ["/Fedora_42.sqsh"])

        shutil.rmtree(self.tmp / "cache")
        with open(self.squash, "ab") as image:
            image.write(b"more")
        ran = self.orch("build", self.profile, "--locked", status=1)
        self.assertIn("Fedora_42.sqsh' is not what is expected: it has more than ", ran.stderr)

    def test_an_image_that_is_not_what_the_list_says_is_refused(self):
        self.write_list("0123456789abcdef")
        ran = self.orch("build", self.profile, ok=False)
        self.assertIn("0123456789abcdef", ran.stderr)
        self.assertFalse((self.tmp / "app.lock.toml").exists())

    def test_a_list_without_images_is_said_to_be_one(self):
        (self.folder / "list.json").write_text(json.dumps({"v1": {}}))
        ran = self.orch("lock", self.profile, ok=False)
        self.assertIn("FEX publishes no image 'Fedora 42': its list names none at all\n", ran.stderr)
        self.assertIn("hint: look at the list that fex.list of the profile names", ran.stderr)

    def test_locked_needs_a_lock(self):
        ran = self.orch("build", self.profile, "--locked", status=2)
        self.assertIn("the image of layer 'base' is not locked", ran.stderr)
        self.assertEqual(self.handler.requests, [])


if __name__ == "__main__":
    unittest.main()
