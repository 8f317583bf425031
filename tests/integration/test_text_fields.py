"""Labels and what stands behind them, where a label is longer than their column."""

import unittest

from tests.integration import lib
from tests.integration.muvm import MuvmCase


class Labels(MuvmCase):
    def test_a_long_label_keeps_a_space_behind_it(self):
        says = ('echo "Surfaceless platform:"; echo "EGL API version: 1.5"; echo "EGL driver name: swrast"; '
                'echo "GBM platform:"; echo "EGL API version: 1.5"; echo "EGL driver name: swrast"')
        tools = lib.make_erofs(self.tmp / "tools.erofs", lib.make_tree(self.tmp / "tools", {"usr/bin/eglinfo": f"#!/bin/sh\n{says}\n"}))
        ran = self.orch("probe", "gpu", self.app("exit 1"), "--launcher", "muvm", "--no-tools", "--image", tools, status=1, home=self.home,
                        prefix=self.prefix, env=self.muvm_env())
        self.assertRegex(ran.stdout, r"(?m)^  EGL Surfaceless [^ ]")
        self.assertRegex(ran.stdout, r"(?m)^  EGL GBM     [^ ]")


if __name__ == "__main__":
    unittest.main()
