"""The views of a benchmark, as the unit tests of src/probe keep them: documents that fit their schemas, hyperfine's layout, a picture."""

import copy
import json
import subprocess
import unittest
import xml.etree.ElementTree as ElementTree

from tests.integration import jsonschema_mini
from tests.integration import lib

GOLDEN = lib.GOLDEN / "bench"


def read_hyperfine(document):
    """[(command, times)] of a document in the layout of hyperfine's JSON, with the types that it has there."""
    out = []
    for result in document["results"]:
        for key in ("mean", "median", "min", "max"):
            if not isinstance(result[key], float):
                raise ValueError(f"{key}: {result[key]!r}")
        for key in ("stddev", "user", "system"):
            if not isinstance(result[key], (float, type(None))):
                raise ValueError(f"{key}: {result[key]!r}")
        if not all(isinstance(time, float) for time in result["times"]) or not result["times"]:
            raise ValueError(f"times: {result['times']!r}")
        if not all(isinstance(code, (int, type(None))) for code in result["exit_codes"]) or len(result["exit_codes"]) != len(result["times"]):
            raise ValueError(f"exit_codes: {result['exit_codes']!r}")
        if not all(isinstance(text, str) for text in (result["command"], *result.get("parameters", {}).values())):
            raise ValueError(f"command and parameters: {result!r}")
        out.append((result["command"], result["times"]))
    return out


class Views(lib.TestCase):
    def document(self, name):
        return json.loads((GOLDEN / name).read_text())

    def test_the_documents_fit_their_schemas(self):
        for name in ("bench", "compare"):
            document = self.document(f"{name}.json")
            self.assertEqual(jsonschema_mini.check_document(document), [])
            for key in document:
                other = {k: v for k, v in document.items() if k != key}
                self.assertNotEqual(jsonschema_mini.check_document(other), [], key)

    def test_hyperfines_layout(self):
        exported = self.document("hyperfine.json")
        read = read_hyperfine(exported)
        runs = {f"hello ({r['variant']}, {r['start']})": [run["seconds"] for run in r["runs"] if run["ok"]] for r in self.document("bench.json")["results"]}
        self.assertEqual(dict(read), runs)
        other = copy.deepcopy(exported)
        other["results"][0]["exit_codes"].pop()
        with self.assertRaises(ValueError):
            read_hyperfine(other)

    @lib.needs_tool("hyperfine")
    def test_hyperfine_s_own_document_has_the_same_fields(self):
        """What reads ours here reads theirs; a release may have more fields (memory), not fewer."""
        path = self.tmp / "theirs.json"
        subprocess.run(["hyperfine", "-N", "--runs", "2", "--export-json", path, "-L", "n", "1,2", "sh -c 'exit 0' {n}"], check=True, capture_output=True)
        theirs, ours = json.loads(path.read_text()), self.document("hyperfine.json")
        self.assertEqual([len(times) for _, times in read_hyperfine(theirs)], [2, 2])
        self.assertEqual(set(ours), set(theirs))
        for result in ours["results"]:
            self.assertLessEqual(set(result), set(theirs["results"][0]))
            self.assertLessEqual(set(theirs["results"][0]) - set(result), {"memory_usage_byte"})
        self.assertEqual([result["parameters"] for result in theirs["results"]], [{"n": "1"}, {"n": "2"}])

    def test_the_picture_is_xml_that_stands_alone(self):
        root = ElementTree.parse(GOLDEN / "bench.svg").getroot()
        names = {element.tag.rpartition("}")[2] for element in root.iter()}
        self.assertEqual(names, {"svg", "title", "rect", "text", "line", "g", "path", "polygon", "circle"})
        self.assertFalse([key for element in root.iter() for key in element.attrib if "href" in key or key.startswith("on")])
        width, height = float(root.attrib["width"]), float(root.attrib["height"])
        for element in root.iter():
            for key, limit in (("x", width), ("x1", width), ("x2", width), ("cx", width), ("y", height), ("y1", height), ("y2", height), ("cy", height)):
                self.assertTrue(0 <= float(element.attrib.get(key, 0)) <= limit, element.attrib)


if __name__ == "__main__":
    unittest.main()
