"""Checks that every build must pass, whatever was edited before it; shared by the tests of staleness."""

import json

from tests.integration.lib import TestCase


class StalenessCase(TestCase):
    """build_checked() plans, builds, holds the one against the other, and builds again."""

    def plan(self, *profiles):
        return self.orch_json("plan", *profiles)

    def build(self, *profiles, options=(), **more):
        return self.orch_json("build", *profiles, *options, **more)

    def build_checked(self, *profiles, options=()):
        """Gives the build document, with the plan before it under "plan".

        What executes contains every stale step and nothing that is neither stale nor pending; a pending step that did
        not execute was cut off (its result is known); and a second build has nothing to do.
        """
        plan = self.plan(*profiles)
        done = self.build(*profiles, options=options)
        status = {step["id"]: step["status"] for step in plan["steps"]}
        result = {step["id"]: step["result"] for step in done["steps"]}
        shown = json.dumps({"plan": status, "build": result}, indent=1)
        for step, how in result.items():
            if status[step] == "stale":
                self.assertEqual(how, "executed", shown)
            elif status[step] == "pending":
                self.assertIn(how, ("executed", "cached", "fresh"), shown)
            elif status[step] == "cached":
                self.assertEqual(how, "cached", shown)
            else:
                self.assertEqual((status[step], how), ("fresh", "fresh"), shown)
        again = self.build(*profiles, options=options)
        self.assertEqual((again["executed"], again["cached"], again["failed"]), (0, 0, 0), again)
        self.assertEqual([s["key"] for s in again["steps"]], [s["key"] for s in done["steps"]])
        done["plan"] = plan
        return done

    def rules(self, document, *results):
        """Sorted rules of the steps with one of these results (of a plan: states)."""
        return sorted(s["rule"] for s in document["steps"] if s.get("result", s.get("status")) in results)

    def reasons(self, plan, rule):
        """The (kind, what) of every reason of the only step of a rule."""
        (step,) = [s for s in plan["steps"] if s["rule"] == rule]
        return [(r["kind"], r["what"]) for r in step["reasons"]]
