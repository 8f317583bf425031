"""Random graphs of user rules, random edits: the incremental result is the clean one, byte for byte, and no step runs
whose key was known. The seed is printed on failure; ORCH_SEED and ORCH_ROUNDS choose others."""

import json
import os
import random
import shutil
import unittest
from pathlib import Path

from tests.integration import lib
from tests.integration.staleness import StalenessCase

GRAPHS = int(os.environ.get("ORCH_GRAPHS", "4" if os.environ.get("ORCH_SANITIZED") else "8"))
EDITS = int(os.environ.get("ORCH_EDITS", "10"))

# What a step does with its inputs; the second and third lose information, so equal results cut the rebuild off.
KINDS = {
    "join": 'out=$1; shift; for f in "$@"; do cat "$f"; echo; done > "$out"; echo "$P" >> "$out"',
    "parity": 'out=$1; shift; n=$(cat "$@" | wc -c); echo $((n % 2)) > "$out"',
    "constant": 'echo "$P" > "$1"',
    "first": 'out=$1; shift; head -c 3 "$1" > "$out"',
}


class Graph:
    """A profile of random steps over random leaf files."""

    def __init__(self, random_, folder):
        self.random, self.folder = random_, folder
        self.leaves = {f"leaf{i}": f"content {i}" for i in range(random_.randint(1, 4))}
        self.steps = []
        for _ in range(random_.randint(2, 9)):
            self.add_step()

    def add_step(self):
        name = f"s{len(self.steps)}"
        sources = list(self.leaves) + [s["name"] for s in self.steps]
        chosen = self.random.sample(sources, self.random.randint(1, min(3, len(sources))))
        self.steps.append({"name": name, "kind": self.random.choice(list(KINDS)), "parameter": str(self.random.randint(0, 2)),
                           "inputs": chosen})

    def write(self):
        text = 'schema = 1\nname = "random"\nextends = "native"\n'
        for step in self.steps:
            words = ["sh", "-c", "P=$1; shift; " + KINDS[step["kind"]], "x", "{param.p}", "{out.o}"]
            words += [f"{{in.{name}}}" for name in step["inputs"]]
            text += f'[[step]]\nname = "{step["name"]}"\ncommand = {json.dumps(words)}\n'
            text += f'parameters.p = {{ literal = "{step["parameter"]}" }}\noutputs.o = {{ kind = "file" }}\n'
            for name in step["inputs"]:
                source = f'file = "{name}"' if name in self.leaves else f'step = "{name}"'
                text += f"inputs.{name} = {{ {source} }}\n"
        for name, content in self.leaves.items():
            path = self.folder / name
            if not path.exists() or path.read_text() != content:
                path.write_text(content)
        (self.folder / "profile.toml").write_text(text)

    def edit(self):
        """One edit; says what it did."""
        what = self.random.choice(["leaf", "leaf", "leaf", "touch", "old", "parameter", "kind", "rewire", "add", "reorder"])
        leaf = self.random.choice(list(self.leaves))
        step = self.random.choice(self.steps)
        if what in ("leaf", "old"):
            # From a small set, so that former contents come back.
            self.leaves[leaf] = f"content {self.random.randint(0, 3)}"
        elif what == "parameter":
            step["parameter"] = str(self.random.randint(0, 2))
        elif what == "kind":
            step["kind"] = self.random.choice(list(KINDS))
        elif what == "rewire":
            before = list(self.leaves) + [s["name"] for s in self.steps[:self.steps.index(step)]]
            step["inputs"] = self.random.sample(before, self.random.randint(1, min(3, len(before))))
        elif what == "add":
            self.add_step()
        self.write()
        if what == "touch":
            os.utime(self.folder / leaf)
        elif what == "old":
            os.utime(self.folder / leaf, (1_000_000_000, 1_000_000_000))
        return what


@lib.needs_tool("ninja")
class Incremental(StalenessCase):
    def results(self, document):
        return {s["rule"]: Path(s["artifact"]).read_bytes() for s in document["steps"]}

    def check_graph(self, seed):
        random_ = random.Random(seed)
        folder = self.tmp / f"graph{seed}"
        folder.mkdir()
        graph = Graph(random_, folder)
        graph.write()
        profile = str(folder / "profile.toml")
        known = set()
        log = ["start"]
        for round_ in range(EDITS):
            try:
                done = self.build_checked(profile)
                for step in done["steps"]:
                    if step["result"] == "executed":
                        self.assertNotIn(step["key"], known, "a step ran whose key was known")
                        known.add(step["key"])
                clean = self.build(profile, options=["--cache-dir", str(self.tmp / "clean")])
                self.assertEqual(self.results(done), self.results(clean))
                self.assertEqual([s["key"] for s in done["steps"]], [s["key"] for s in clean["steps"]])
                lib.remove_tree(self.tmp / "clean")
            except AssertionError as error:
                raise AssertionError(f"ORCH_SEED={seed} round {round_} after {log}: {error}") from None
            log.append(graph.edit())

    def test_random_graphs_and_edits(self):
        first = lib.chosen_seed()
        self.note(f"seed {first}, {GRAPHS} graphs")
        for seed in range(first, first + GRAPHS):
            self.check_graph(seed)


if __name__ == "__main__":
    unittest.main()
