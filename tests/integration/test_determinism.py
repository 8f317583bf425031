"""The same profile gives the same ninja file, keys, trees, manifests and images, whoever builds it, where and how."""

import os
import shutil

from tests.integration import lib


@lib.needs_tool("apt-get", "dpkg-deb", "mksquashfs", "mkfs.erofs")
class Determinism(lib.TestCase):
    def setUp(self):
        hello = self.tmp / "hello"
        hello.mkdir()
        shutil.copy(lib.SOURCE / "examples/hello/profile.toml", hello)
        made = lib.run_command([lib.SOURCE / "examples/hello/make-appimage.sh", hello / "Hello-x86_64.AppImage"],
                               env=self.environment())
        self.assertEqual(made.status, 0, msg=str(made))
        self.orch("lock", cwd=hello)

    def built(self, name, *, uid, umask, jobs, **env):
        """What a build leaves, made by a user of its own with directories of its own."""
        home = self.tmp / name
        shutil.copytree(self.tmp / "hello", home / "project")
        for folder, folders, files in os.walk(home):
            for entry in [folder, *(os.path.join(folder, f) for f in files)]:
                os.chown(entry, uid, uid)
        settings = {"user": uid, "home": home, "cwd": home / "project", "preexec": lambda: os.umask(umask), "env": env}
        document = self.orch_json("build", "-j", jobs, **settings)
        self.assertEqual(document["failed"], 0)
        self.assertEqual({s["result"] for s in document["steps"]}, {"executed"}, msg=document)
        plan = self.orch_json("plan", **settings)
        (ninja,) = (home / "cache").rglob("build.ninja")
        return {
            "ninja": ninja.read_text(),
            "keys": {s["id"]: s["key"] for s in plan["steps"]},
            "digests": {s["id"]: s["digest"] for s in document["steps"]},
            "artifacts": {s["id"]: lib.listing(s["artifact"]) for s in document["steps"]},
            "store": lib.listing(home / "cache/appimage-orch/store/cas"),  # with manifests, by digest
        }

    def test_users_umasks_locales_zones_caches_and_jobs_change_nothing(self):
        me = os.geteuid()
        other = lib.ORDINARY_USER if lib.is_root() else me
        first = self.built("one", uid=me, umask=0o022, jobs="1", LC_ALL="C", TZ="UTC")
        second = self.built("two", uid=other, umask=0o077, jobs="2", LC_ALL="de_DE.UTF-8", LANG="tr_TR.UTF-8",
                            TZ="Asia/Kathmandu")
        self.assertGreater(len(first["keys"]), 3)
        self.assertGreater(len(first["store"]), 10)
        for what in first:
            with self.subTest(what):
                self.assertEqual(first[what], second[what])
