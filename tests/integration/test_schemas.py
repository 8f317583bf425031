"""The JSON Schemas of docs/schemas: each accepts real documents of the program, and rejects what is nearly one."""

import contextlib
import copy
import json
import re
import shutil
import unittest
from pathlib import Path

from tests.integration import jsonschema_mini
from tests.integration import lib
from tests.integration.made_up_runs import MadeUp
from tests.integration.repository import Repository
from tests.integration.stacks import StackTestCase
from tests.integration.test_image_layers import make_program
from tests.integration.test_inspect import elf

# Any bytes, in each schema alike.
TEXT = {"anyOf": [{"type": "string"}, {"type": "object", "required": ["base64"], "additionalProperties": False,
                                       "properties": {"base64": {"type": "string", "pattern": "^[A-Za-z0-9+/]+={0,2}$"}}}]}
# Places whose parts are another's: a profile, the parameters of a rule, a value that is compared, another document.
OPEN = re.compile(r"^(inputs\.(profile\.expanded|manifests\[\d+\]\.content)|run-report\.raw|step\.(parameters|settings)|diff\.differences\[\d+\]\.[ab]|evidence-show\.(inputs|report|comparison|benchmark))[.\[]")
# Values that may be anything.
ANY = re.compile(r"^(diff|bench-compare)\.differences\[\d+\]\.[ab]$")
# What a document of the schema may lack; all else that is in one is required.
OPTIONAL = {
    "artifact": {"files.size", "files.xxh3", "files.target", "files.hard_link"},
    "conversion": {"from.size", "from.sha256", "to.size"},
    "image-manifest": {"files.xxh3", "files.target", "files.hard_link", "provided.version", "provided.why"},
    "inputs": {"paths.profile", "paths.chain", "paths.build_folder"},
    "inspect": {"erofs", "files", "directories", "skipped", "special_bits"},
    "lock": {"profiles.layers.packages.origin", "profiles.layers.packages.allow_unsigned"},
    "plan": {"launches"},
}
# Objects whose names are free.
MAPS = re.compile(r"\.(env|environment|variables|values)$")


def parts(value, place="", keys=()):
    """(place, keys) of every part of a document, of long lists the first two and the last."""
    if isinstance(value, dict):
        items = [(f"{place}.{key}", key) for key in value]
    elif isinstance(value, list):
        items = [(f"{place}[{i}]", i) for i in range(len(value)) if i < 2 or i == len(value) - 1]
    else:
        return
    for inner, key in items:
        yield inner, (*keys, key)
        yield from parts(value[key], inner, (*keys, key))


def changed(document, keys, change):
    document = copy.deepcopy(document)
    inner = document
    for key in keys[:-1]:
        inner = inner[key]
    change(inner, keys[-1])
    return document


def of_another_type(inner, key):
    if inner[key] is None:  # what else it may be is not known, but this it is not
        inner[key] = [[]]
    else:
        inner[key] = "x" if isinstance(inner[key], (int, float)) and not isinstance(inner[key], bool) else 1.5


def without(inner, key):
    del inner[key]


def under_another_name(inner, key):
    inner[key + "-other"] = inner.pop(key)


def another_word(inner, key):
    inner[key] = "no word that\nfits"


@contextlib.contextmanager
def recorded():
    """The places at which a validation has a word to compare: where there is an enum, a const or a pattern."""
    seen = set()
    saved = dict(jsonschema_mini.CHECKS)

    def record(name):
        def check(value, argument, schema, root, place):
            if isinstance(value, str):
                seen.add(place)
            return saved[name](value, argument, schema, root, place)
        jsonschema_mini.CHECKS[name] = check
    for name in ("enum", "const", "pattern"):
        record(name)
    try:
        yield seen
    finally:
        jsonschema_mini.CHECKS.update(saved)


class Mechanism(lib.TestCase):
    def test_documents_are_held_against_the_schema_that_they_name(self):
        check = jsonschema_mini.check_document
        good = {"schema": "appimage-orch/sanitize/1", "files": []}
        self.assertEqual(check(good), [])
        self.assertNotEqual(check({**good, "more": 1}), [])
        self.assertNotEqual(check(good, "finish"), [])
        for other in ({}, [], {**good, "schema": "appimage-orch/unheard-of/1"}, {**good, "schema": "appimage-orch/sanitize/2"}, {**good, "schema": "../x/1"}):
            self.assertNotEqual(check(other), [], other)
        shown = {"schema": "appimage-orch/evidence-show/1", "name": "x", "directory": "x", "state": "ended", "problem": None, "report": None,
                 "inputs": {"schema": "appimage-orch/inputs/1"}}
        self.assertTrue(any(problem.startswith("$.inputs: ") for problem in check(shown)))

    def test_the_files(self):
        for path in jsonschema_mini.SCHEMAS.iterdir():
            self.assertRegex(path.name, r"^[a-z-]+-1\.schema\.json$")
            schema = json.loads(path.read_text())
            self.assertEqual(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", path)
            name = path.name.removesuffix("-1.schema.json")
            self.assertEqual(schema["properties"]["schema"], {"const": f"appimage-orch/{name}/1"})
            self.assertFalse(schema["additionalProperties"], path)
            self.assertTrue(schema["title"])
            text = copy.deepcopy(schema.get("$defs", {}).get("text", TEXT))
            text["anyOf"][0].pop("minLength", None)
            self.assertEqual(text["anyOf"], TEXT["anyOf"], path)


@lib.needs_tool("mkfs.erofs", "mksquashfs", "apt-get")
class Documents(StackTestCase, MadeUp):
    def setUp(self):
        MadeUp.setUp(self)
        self.found = {}

    def take(self, document):
        """Keeps a document, of each schema the one with the most in it."""
        self.check_document(document)
        before = self.found.get(document["schema"])
        if before is None or len(set(p for p, _ in parts(document))) > len(set(p for p, _ in parts(before))):
            self.found[document["schema"]] = document

    def take_build(self, profile):
        built = self.orch_json("build", profile)
        self.take(built)
        for step in built["steps"]:
            for document in self.documents(step).values():
                if isinstance(document, dict) and "schema" in document:
                    self.take(document)

    def stack_with_nothing_as_it_should_be(self):
        """Images for a profile; each step has something to say of them."""
        base = lib.make_tree(self.tmp / "base", {
            "usr/lib64/ld-linux-x86-64.so.2": make_program(), "lib64": ("link", "/usr/lib64"), "usr/share/x": b"x", "tmp": None,
            "usr/share/glib-2.0/schemas/a.gschema.xml": "<schemalist></schemalist>"})
        (base / "tmp").chmod(0o1777)
        lib.make_socket(base)
        ran = lib.run_command(["mksquashfs", base, self.tmp / "base.sqsh", "-noappend", "-no-progress", "-quiet", "-all-root"])
        self.assertEqual(ran.status, 0, msg=str(ran))
        upper = lib.make_erofs(self.tmp / "upper.erofs", lib.make_tree(self.tmp / "upper", {"usr/share/x": b"other"}))
        app = lib.make_appimage(self.tmp / "x.AppImage", lib.make_tree(self.tmp / "app", {"AppRun": make_program()}))
        return self.write("strange.toml", f'[app]\nappimage = "{app}"\n[extract]\nstrip_gnu_property = true\n[stack]\nbase = "base.sqsh"\n'
                                          f'gpu = []\nimages = ["{upper}"]\n[launch]\nlauncher = "native"\n')

    def application_that_lacks_libraries(self):
        """A profile with an overlay from packages, and an application that cannot start on it."""
        libc = next(line.split()[2] for line in lib.run_command(["ldd", "/bin/sh"]).stdout.splitlines() if "libc.so.6" in line)
        libraries = "usr/lib/x86_64-linux-gnu"
        loader = "/lib64/ld-linux-x86-64.so.2"
        base = lib.make_tree(self.tmp / "own", {
            "usr/lib64/ld-linux-x86-64.so.2": Path(loader).read_bytes(), f"{libraries}/libc.so.6": Path(libc).read_bytes(), "lib64": ("link", "usr/lib64"),
            "lib": ("link", "usr/lib"), "etc/os-release": "ID=own\nVERSION_ID=1\n", "usr/share/own": "the base's"})
        lib.make_erofs(self.tmp / "own.erofs", base)
        repository = Repository(self.tmp / "repository")
        repository.add("libknown4", "1.0", {f"./{libraries}/libknown.so.4": elf(soname="libknown.so.4")})
        repository.add("libplain1", "1.0", {f"./{libraries}/libplain.so.1": elf(soname="libplain.so.1"), f"./{libraries}/link": ("link", "libplain.so.1"),
                                            "./usr/share/own": b"the package's"}).publish()
        self.write("config/appimage-orch/profiles/sources/base.toml", f'schema = 1\ndistribution = "own"\nrelease = "1"\n{repository.table()}')
        tree = lib.make_tree(self.tmp / "tree", {
            "AppRun": elf(needed=["libabsent.so.9", "libknown.so.4", "libplain.so.1", "libc.so.6"], interpreter=loader, versions=["GLIBC_9.99"]),
            "usr/lib/plugin.so": elf(soname="plugin.so", needed=["libother.so.1"]), "link": ("link", "AppRun"),
            "hello.desktop": "[Desktop Entry]\nName=Hello\nExec=AppRun %f\nIcon=x\nX-AppImage-Version=1\nStartupWMClass=Hello\n"})
        lib.make_appimage(self.tmp / "Hello.AppImage", tree)
        shutil.rmtree(tree)
        return self.write("hello.toml", 'schema = 1\nname = "hello"\nextends = "native"\n[app]\nappimage = "Hello.AppImage"\nargs = ["x"]\nenv = { A = "b" }\n'
                          '[stack]\nbase = "own.erofs"\nimages = ["upper.erofs"]\n'
                          f'[[stack.deps]]\nname = "own"\nsource = "own"\npackages = ["libplain1"]\nallow = ["base-override:usr/share/own"]\n[source.own]\n{repository.table()}')

    def take_probes(self):
        """Of tools that print what the real ones print, and differ by a variable."""
        base = lib.make_base_image(self.tmp / "probed.erofs", ("/bin/sh",))
        vulkan = "GPU0:\\n\\tdeviceName = llvmpipe\\n\\tdriverName = llvmpipe\\n\\tdriverInfo = Mesa 1\\n\\tvendorID = 0x1\\n"
        tools = {"glxinfo": "OpenGL vendor string: Mesa\\nOpenGL renderer string: of $LANG\\nOpenGL version string: 4.5\\n", "vulkaninfo": vulkan,
                 "eglinfo": "X11 platform:\\nEGL API version: 1.5\\nEGL vendor string: Mesa\\nEGL version string: 1.5\\nEGL driver name: swrast\\n",
                 "xdpyinfo": "name of display: :1\\nvendor string: X\\nvendor release number: 1\\n    GLX  (opcode: 150)\\n  dimensions: 8x6 pixels\\n"}
        tree = lib.make_tree(self.tmp / "tools", {f"usr/bin/{name}": f'#!/bin/sh\nprintf "{text}"\n' for name, text in tools.items()})
        app = lib.make_appimage(self.tmp / "p.AppImage", lib.make_tree(self.tmp / "p", {"AppRun": "#!/bin/sh\n"}))
        profile = self.write("p.toml", f'schema = 1\nname = "p"\nextends = "native"\n[app]\nappimage = "{app}"\n'
                                       f'[stack]\nbase = "{base}"\nimages = ["{lib.make_erofs(self.tmp / "tools.erofs", tree)}"]\n')
        probe = ("probe", "gpu", profile, "--no-tools", "--format", "json")
        gpu, display = self.orch(*probe).json, self.orch("probe", "display", *probe[2:]).json
        self.take({**gpu, "server": display["server"], "display": display["display"], "devices": [{"name": "dri/renderD128", "what": "rw"}],
                   "kinds": [{"name": "input", "state": "not readable", "devices": ["input/event0"]}], "egl_failed": ["X11"],
                   "overlay": {"packages": ["mesa-utils"], "problem": "no source"}})
        self.take(self.orch(*probe, "--ab-env", "LANG=C,POSIX").json)

    def take_benches(self):
        """Of starts that get ready, that do not, and of a variant that is given up."""
        base = lib.make_base_image(self.tmp / "timed.erofs", ("/bin/sh",))
        app = lib.make_appimage(self.tmp / "b.AppImage", lib.make_tree(self.tmp / "b", {"AppRun": "#!/bin/sh\necho here; exit $X\n"}))
        profile = self.write("b.toml", f'schema = 1\nname = "b"\nextends = "native"\n[app]\nappimage = "{app}"\n[stack]\nbase = "{base}"\n')
        for folder, words in (("b1", ["--cold", "1", "--ab-env", "X=0,1"]), ("b2", ["--cold", "0", "--ab-env", "X=0,2", "--timeout", "9s"])):
            self.take(self.orch("bench", profile, "--warm", "5", *words, "--out-dir", self.tmp / folder, "--format", "json", status=1).json)
        self.take(self.orch_json("bench", "compare", self.tmp / "b1", self.tmp / "b2"))
        self.take(self.orch("bench", profile, "--warm", "1", "--cold", "0", "--warmup", "0", "--command", "exit 1", "--format", "json", status=1).json)

    def take_evidence(self):
        """Of a run that is refused, and of some that are made up."""
        for name in ("1", "2"):
            self.orch("run", "hello.toml", "--env", f"B={name}", "--timeout", f"{name}s", status=125)
        runs = sorted((self.root / "hello").iterdir(), key=lambda p: p.stat().st_ctime_ns)
        for path in [file for run in runs for file in run.glob("*.json")]:
            self.take(json.loads(path.read_text()))
        self.take(self.orch("evidence", "diff", *runs, "--format", "json", status=1).json)
        self.some_runs()
        self.take_probes()
        self.take_benches()
        self.take(self.orch("doctor", "--launcher", "muvm", "--format", "json", ok=None).json)
        self.take(self.orch_json("evidence", "list"))
        self.take(self.orch_json("evidence", "show", runs[0]))
        self.take(self.orch_json("evidence", "prune", "--keep", "0", "--dry-run"))

    def take_all(self):
        self.take_build(self.stack_with_nothing_as_it_should_be())
        self.take(self.orch_json("inspect", "--files", "upper.erofs"))
        profile = self.application_that_lacks_libraries()
        self.take(self.orch_json("plan", profile))
        self.take(self.orch_json("lock", profile))
        self.take_build(profile)
        self.take(self.orch_json("plan", profile))
        self.take(self.orch_json("verify", profile, status=1))
        self.take(self.orch_json("inspect", "--files", "Hello.AppImage"))
        self.take(self.orch_json("run", profile, "--dry-run"))
        self.take(self.orch_json("cache", "stats"))
        self.take_evidence()
        cache = self.tmp / "cache/appimage-orch"
        for pattern in ("build/*/stamps/*", "build/*/steps/*.json", "store/ac/*/*.json", "store/cas/*/*/*/manifest.json"):
            for path in cache.glob(pattern):
                self.take(json.loads(path.read_text()))

    def near_misses(self, name, document):
        """(place, what was done, document) of each, one change each."""
        with recorded() as seen:
            self.assertEqual(jsonschema_mini.check_document(document, name), [])
        for place, keys in parts(document):
            if OPEN.search(name + place):
                continue
            if not ANY.search(name + place):
                yield place, "another type", changed(document, keys, of_another_type)
            if isinstance(keys[-1], str) and not MAPS.search(place.rpartition(".")[0]):
                yield place, "another name", changed(document, keys, under_another_name)
                if ".".join(key for key in keys if isinstance(key, str)) not in OPTIONAL.get(name, ()):
                    yield place, "without", changed(document, keys, without)
            if f"${place}" in seen:
                yield place, "another word", changed(document, keys, another_word)

    def test_each_schema_fits_real_documents_and_nothing_else(self):
        self.take_all()
        names = {f"appimage-orch/{path.name.removesuffix('-1.schema.json')}/1" for path in jsonschema_mini.SCHEMAS.iterdir()}
        self.assertEqual(set(self.found), names)
        count = 0
        for schema, document in self.found.items():
            name = schema.split("/")[1]
            for place, what, other in self.near_misses(name, document):
                count += 1
                with self.subTest(name, place=place, what=what):
                    self.assertNotEqual(jsonschema_mini.check_document(other, name), [])
        self.note(f"{count} near misses of {len(names)} schemas")
        self.assertGreater(count, 1000)
        self.look_at_what_is_in_them()

    def look_at_what_is_in_them(self):
        """A list without items would show nothing of its schema."""
        lists = {"stack-check": "findings", "finish": "parts", "rootfs-compat": "loaders", "sanitize": "files", "linkage": "missing", "verify": "missing",
                 "image-manifest": "files", "lock": "profiles", "build": "steps", "plan": "edges", "inspect": "files", "cache-stats": "kinds",
                 "evidence-list": "runs", "evidence-prune": "removed", "diff": "differences", "run-report": "checks", "artifact": "files", "stamp": "items"}
        for name, key in lists.items():
            self.assertTrue(self.found[f"appimage-orch/{name}/1"][key], name)
        lost = self.found["appimage-orch/conversion/1"]["lost"]
        self.assertEqual((lost["skipped"], lost["special_bits"]), ([{"path": "socket", "type": "socket"}], ["tmp"]))
        self.assertTrue(self.found["appimage-orch/rootfs-compat/1"]["loaders"][0]["links"])
        self.assertTrue(self.found["appimage-orch/run-report/1"]["verify"]["missing"])
        inputs = self.found["appimage-orch/inputs/1"]
        self.assertIsNotNone(inputs["launch"])
        self.assertLessEqual({"appimage-orch/image-manifest/1", "appimage-orch/finish/1"}, {m["content"]["schema"] for m in inputs["manifests"]})
        self.assertFalse([m for m in inputs["manifests"] if "files" in m["content"]])


if __name__ == "__main__":
    unittest.main()
