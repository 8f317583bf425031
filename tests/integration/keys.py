"""Signing keys of a test's own, by gpg in a key ring of their own."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path


class KeyRing:
    def __init__(self, work):
        self.work = Path(work)
        self.work.mkdir()
        # Short: the agent's sockets are in it, and a socket's path has 107 bytes at most.
        self.home = Path(tempfile.mkdtemp(prefix="gpg-"))

    def run(self, *argv):
        env = {"PATH": os.environ["PATH"] + ":/usr/sbin", "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": str(self.work),
               "GNUPGHOME": str(self.home), "SOURCE_DATE_EPOCH": "1000000000"}
        ran = subprocess.run([str(a) for a in argv], capture_output=True, text=True, env=env, cwd=self.work,
                             stdin=subprocess.DEVNULL, timeout=120)
        assert ran.returncode == 0, f"{argv}: {ran.stdout}{ran.stderr}"
        return ran.stdout

    def make_key(self, name):
        """(path of the key file, fingerprint) of a new signing key."""
        self.run("gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "", "--quick-generate-key",
                 f"{name} <{name}@example.invalid>", "rsa2048", "sign", "never")
        path = self.work / f"{name}.asc"
        path.write_text(self.run("gpg", "--armor", "--export", f"{name}@example.invalid"))
        listed = self.run("gpg", "--list-keys", "--with-colons", f"{name}@example.invalid")
        return path, next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))

    def close(self):
        """Ends the agent that gpg started for the keys, and takes them away."""
        self.run("gpgconf", "--kill", "all")
        shutil.rmtree(self.home)
