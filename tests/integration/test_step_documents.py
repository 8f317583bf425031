"""The documents of steps against their schemas: real ones are valid, and a change of any part of them is noticed."""

import copy
import json
import unittest

from tests.integration import jsonschema_mini
from tests.integration import lib
from tests.integration.stacks import SCHEMAS, StackTestCase
from tests.integration.test_image_layers import make_program


def parts(value, place=()):
    """Every place in a document but its root."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*place, key)
        yield from parts(inner, (*place, key))


def changed(document, place, change):
    document = copy.deepcopy(document)
    inner = document
    for key in place[:-1]:
        inner = inner[key]
    change(inner, place[-1])
    return document


@lib.needs_tool("mkfs.erofs", "mksquashfs")
class StepDocuments(StackTestCase):
    def one_of_each(self):
        """{schema: a real document with something in each list} of one build: nothing in this stack is as it should be."""
        base = lib.make_tree(self.tmp / "base", {
            "usr/lib64/ld-linux-x86-64.so.2": make_program(), "lib64": ("link", "/usr/lib64"), "usr/share/x": b"x", "tmp": None,
            "usr/share/glib-2.0/schemas/a.gschema.xml": "<schemalist></schemalist>"})
        (base / "tmp").chmod(0o1777)
        (base / "usr/share/pipe").parent.mkdir(exist_ok=True)
        lib.make_socket(base)
        ran = lib.run_command(["mksquashfs", base, self.tmp / "base.sqsh", "-noappend", "-no-progress", "-quiet", "-all-root"])
        self.assertEqual(ran.status, 0, msg=str(ran))
        upper = lib.make_erofs(self.tmp / "upper.erofs", lib.make_tree(self.tmp / "upper", {"usr/share/x": b"other"}))
        app = lib.make_appimage(self.tmp / "x.AppImage", lib.make_tree(self.tmp / "app", {"AppRun": make_program()}))
        profile = self.write("p.toml", f'[app]\nappimage = "{app}"\n[extract]\nstrip_gnu_property = true\n[stack]\nbase = "base.sqsh"\n'
                                       f'gpu = []\nimages = ["{upper}"]\n[launch]\nlauncher = "native"\n')
        found = {}
        for step in self.orch_json("build", profile)["steps"]:
            for document in self.documents(step).values():
                found.setdefault(document.get("schema"), document)
        return {name: document for name, document in found.items() if name in SCHEMAS}

    def test_each_part_of_real_documents_is_in_its_schema(self):
        documents = self.one_of_each()
        self.assertEqual(set(documents), SCHEMAS - {"appimage-orch/image-manifest/1"})  # test_overlay_determinism.py has that
        for name, document in documents.items():
            schema = name.removeprefix("appimage-orch/").replace("/", "-") + ".schema"
            self.assertEqual(jsonschema_mini.check_document(document, schema), [])
            for place in parts(document):
                with self.subTest(name, place=place):
                    def of_another_type(inner, key):
                        inner[key] = 1.5
                    self.assertNotEqual(jsonschema_mini.check_document(changed(document, place, of_another_type), schema), [])
                    if isinstance(place[-1], str):
                        def with_another_name(inner, key):
                            inner[key + "-other"] = inner.pop(key)
                        self.assertNotEqual(jsonschema_mini.check_document(changed(document, place, with_another_name), schema), [])
        lists = {"stack-check": ["findings"], "finish": ["parts"], "rootfs-compat": ["loaders"], "sanitize": ["files"]}
        for name, keys in lists.items():
            for key in keys:
                self.assertTrue(documents[f"appimage-orch/{name}/1"][key], json.dumps(documents[f"appimage-orch/{name}/1"]))
        lost = documents["appimage-orch/conversion/1"]["lost"]
        self.assertEqual((lost["skipped"], lost["special_bits"]), ([{"path": "socket", "type": "socket"}], ["tmp"]))
        self.assertTrue(documents["appimage-orch/rootfs-compat/1"]["loaders"][0]["links"])


if __name__ == "__main__":
    unittest.main()
