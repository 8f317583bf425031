"""Key files of sources: apt, dnf and rpmkeys know the keys that were held against the fingerprints, and no others."""

import base64
import unittest
from pathlib import Path

from tests.integration import lib
from tests.integration.repository import Repository, base_files
from tests.integration.rpm_repository import RpmRepository, needs_rpm_tools

BEGIN, END = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n", "-----END PGP PUBLIC KEY BLOCK-----\n"
KEYRINGS = [p for folder, kind in (("/usr/share/keyrings", "gpg"), ("/etc/apt/trusted.gpg.d", "*"), ("/etc/pki/rpm-gpg", "*"))
            for p in sorted(Path(folder).glob(f"*.{kind}" if kind == "gpg" else kind)) if p.is_file()]


def packets_of(block):
    """What is in one block of gpg's."""
    body = block.split("\n\n", 1)[1].split("\n=", 1)[0]
    return base64.b64decode(body)


def user_id(text):
    return b"\xb5" + len(text).to_bytes(2, "big") + text


def lines(packets):
    text = base64.b64encode(packets).decode()
    return "".join(text[i:i + 64] + "\n" for i in range(0, len(text), 64))


class WithKeys(lib.TestCase):
    """Two keys: `good`, which a source names, and `evil`, which signs. `crafted` are files that look like one and may be both."""

    def setUp(self):
        self.signer = RpmRepository(self.tmp / "repository")
        self.addCleanup(self.signer.close)
        self.good, self.good_print = self.signer.make_key("good")
        self.evil, self.evil_print = self.signer.key, self.signer.fingerprint

    def crafted(self):
        """(name, bytes) of files in which other readers find other keys than the first."""
        good, evil = packets_of(self.good.read_text()), packets_of(self.evil.read_text())
        text = user_id(b"\n" + self.evil.read_bytes())
        yield "before.asc", text + good  # rpmkeys looks as far as the first NUL
        yield "behind.asc", good + text
        # Where a blank line begins the text it is evil; where one of spaces does, good with evil in a user id.
        pad = b"x" * (-(len(good) + 6) % 3)
        head = b"\xcd\xff" + (len(pad) + len(evil)).to_bytes(4, "big") + pad
        yield "blank.asc", (BEGIN + " \n" + lines(good + head) + "\n" + lines(evil) + END).encode()

    def profile(self, table, name="base"):
        return self.write("p.toml", 'schema = 1\nextends = "native"\n[stack]\ncompat = "off"\nfinish = "off"\n'
                                    f'base = {{ packages = ["{name}"], source = "own" }}\n[source.own]\n{table}')

    def cache(self, pattern):
        return sorted((self.tmp / "cache/appimage-orch").glob(pattern))


@lib.needs_tool("apt-get", "gpg")
class Apt(WithKeys):
    def setUp(self):
        super().setUp()
        self.archive = Repository(self.tmp / "archive").add("base", "1.0", base_files()).publish()
        release = self.archive.folder / "Release"
        release.write_text("Date: Thu, 01 Jan 2026 00:00:00 UTC\n" + release.read_text())
        self.signer.run("gpg", "--batch", "--local-user", self.evil_print, "--output", self.archive.folder / "InRelease",
                        "--clearsign", release)

    def table(self, key, *fingerprints):
        listed = ", ".join(f'"{f}"' for f in fingerprints)
        return (f'kind = "apt"\nuris = ["file:{self.archive.folder}"]\nsuites = ["./"]\nsigned_by = "{key}"\n'
                + (f"fingerprints = [{listed}]\n" if listed else ""))

    def fingerprints(self, path):
        """Those of the primary keys, as gpg has them."""
        listed = self.signer.run("gpg", "--show-keys", "--with-colons", path)
        return [key.split("fpr:", 1)[1].split(":")[8] for key in listed.split("pub:")[1:]]

    def test_the_lists_are_signed_by_a_key_of_the_file(self):
        for key, fingerprint in ((self.evil, self.evil_print), (self.write("evil.gpg", packets_of(self.evil.read_text())), "")):
            self.orch("lock", self.profile(self.table(key, *filter(None, [fingerprint]))), "--update")
        ran = self.orch("lock", self.profile(self.table(self.good, self.good_print)), "--update", ok=False)
        self.assertIn("the package lists of source 'own' are not signed by a key of", ran.stderr)
        # A file of the same name with other keys.
        self.evil.write_bytes(self.good.read_bytes())
        ran = self.orch("lock", self.profile(self.table(self.evil)), "--update", ok=False)
        self.assertIn("the package lists of source 'own' are not signed by a key of", ran.stderr)

    def test_no_file_of_which_apt_takes_another_key_is_used(self):
        for name, data in self.crafted():
            with self.subTest(name):
                key = self.write(name, data)
                ran = self.orch("lock", self.profile(self.table(key, self.good_print)), "--update", ok=False)
                self.assertIn(f"'{key}' is no OpenPGP key file", ran.stderr)

    def test_apt_is_given_a_copy_of_the_keys_and_trusts_nothing_else(self):
        key = self.write("both.asc", self.good.read_text() + "and\n" + self.evil.read_text())
        self.orch("--cache-dir", self.tmp / "cache of mine", "lock", self.profile(self.table(key)))
        root, = (self.tmp / "cache of mine").glob("apt/*")
        self.assertEqual([p.read_bytes() for p in (root / "etc/keys").iterdir()],
                         [packets_of(self.good.read_text()) + packets_of(self.evil.read_text())])
        self.assertIn(f'Dir::Etc::trusted "/dev/null";\nDir::Etc::trustedparts "{root}/etc/keys";\n', (root / "apt.conf").read_text())
        self.assertNotIn(str(key), (root / "etc/sources.list.d/source.sources").read_text())

    @unittest.skipUnless(KEYRINGS, "this machine has no key files of a distribution")
    def test_the_key_files_of_this_machine_are_read_as_gpg_reads_them(self):
        for path in KEYRINGS:
            with self.subTest(path.name):
                text = path.read_bytes()
                armoured = text.startswith(b"-----BEGIN")
                key = self.write(f"key{path.suffix}", text + (b"\n" + self.evil.read_bytes() if armoured else packets_of(self.evil.read_text())))
                fingerprints = self.fingerprints(path)
                self.orch("lock", self.profile(self.table(key, self.evil_print, *fingerprints)), "--update")
                ran = self.orch("lock", self.profile(self.table(key, self.evil_print, *fingerprints[1:])), "--update", ok=False)
                self.assertIn(f"has the key {fingerprints[0]}, expected none but ", ran.stderr)


@needs_rpm_tools
class Rpm(WithKeys):
    def setUp(self):
        super().setUp()
        self.signer.add("data", "1.0", {"/usr/share/data": b"d"}, architecture="noarch")
        self.signer.publish()
        self.signer.sign_lists()

    def table(self, key, *fingerprints, more=""):
        return self.signer.table(more).replace(str(self.evil), str(key)).replace(
            f'"{self.evil_print}"', ", ".join(f'"{f}"' for f in fingerprints))

    def test_no_file_of_which_rpmkeys_takes_another_key_is_used(self):
        for name, data in self.crafted():
            with self.subTest(name):
                key = self.write(name, data)
                ran = self.orch("build", self.profile(self.table(key, self.good_print), "data"), ok=False)
                self.assertIn(f"'{key}' is no OpenPGP key file", ran.stderr)

    def test_dnf_and_rpmkeys_are_given_a_copy_with_a_block_for_each_key(self):
        data = b"".join(p.read_bytes() for p in KEYRINGS if p.suffix == ".asc")
        key = self.write("all.asc", data + b"of the test\n" + self.good.read_bytes() + self.evil.read_bytes())
        cache = self.tmp / "cache of mine"
        profile = self.profile(self.table(key, more="repo_gpgcheck = true\n").replace("fingerprints = []\n", ""), "data")
        self.orch("--cache-dir", cache, "build", profile)
        root, = cache.glob("dnf/*")
        copy = (root / "keys.asc").read_text()
        self.assertNotIn("of the test", copy)
        self.assertIn(self.evil.read_text(), copy)
        self.assertEqual(copy.count(BEGIN), data.count(BEGIN.encode()) + 2)
        conf = (root / "dnf.conf").read_text()
        self.assertIn(f"gpgkey=file://{str(root).replace(' ', '%20')}/keys.asc\n", conf)
        self.assertNotIn(str(key), conf)


if __name__ == "__main__":
    unittest.main()
