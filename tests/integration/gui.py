"""What the tests of applications with a window share: a real one as a thin AppImage, and its run under a display."""

import subprocess
import time

from tests.integration import debian
from tests.integration import lib
from tests.integration import launching

APP_RUN = """#!/bin/sh
here=${APPDIR:-$(dirname "$(readlink -f "$0")")}
export XDG_DATA_DIRS="$here/usr/share:/usr/share"
exec "$here/usr/bin/gtk3-demo" "$@"
"""


def make_gtk_demo(path, package, folder):
    """An AppImage of GTK's demonstration program out of the package gtk-3-examples, with none of its libraries."""
    files = debian.unpack(package, folder / "package")
    icon = "usr/share/icons/hicolor/48x48/apps/gtk3-demo.png"
    tree = lib.make_tree(folder / "tree", {
        "AppRun": APP_RUN, "usr/bin/gtk3-demo": (files / "usr/bin/gtk3-demo").read_bytes(), icon: (files / icon).read_bytes(),
        "gtk3-demo.png": (files / icon).read_bytes(),
        "gtk3-demo.desktop": "[Desktop Entry]\nType=Application\nName=GTK Demo\nExec=gtk3-demo\nIcon=gtk3-demo\nCategories=Utility;\n"})
    return lib.make_appimage(path, tree)


class Running:
    """`appimage-orch run …` beside the test, on a display."""

    def __init__(self, case, display, *arguments):
        self.display = display
        self.log = case.tmp / "run.out"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [lib.shared_copy()[0], "run", *arguments], env=case.environment(DISPLAY=display.name), cwd=case.tmp,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def output(self):
        return self.log.read_text(errors="replace")

    def wait_for_window(self, title, timeout=lib.TIMEOUT):
        """The window with that title, once it is there."""
        def look():
            if self.process.poll() is not None:
                raise AssertionError(f"ended with {self.process.returncode} without a window '{title}':\n{self.output()}")
            return self.display.windows().get(title)
        return launching.wait_for(look, f"a window '{title}'", timeout)

    def wait_for_picture(self, window, colours, timeout=60):
        """The rows of a window that lies in the upper left corner, once it has that many colours and has come to rest."""
        deadline, before = time.monotonic() + timeout, None
        while time.monotonic() < deadline:
            width, height = self.display.size(window)
            picture = [row[:width] for row in self.display.picture()[:height]]
            if picture == before and len({pixel for row in picture for pixel in row}) >= colours:
                return picture
            before = picture
            time.sleep(0.1)
        raise AssertionError(f"the window did not get {colours} colours: {self.output()}")

    def wait(self, timeout=60):
        return self.process.wait(timeout)

    def end(self):
        """For the end of a test that failed before the application ended."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()


def save_picture(path, display):
    """What the screen shows, as a file that viewers know."""
    data = bytes(byte for row in display.picture() for pixel in row for byte in pixel.to_bytes(3, "big"))
    path.write_bytes(b"P6 %d %d 255\n" % (display.width, display.height) + data)
