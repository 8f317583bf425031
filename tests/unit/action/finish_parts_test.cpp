#include "action/finish_parts.hpp"

#include "image/directory_tree.hpp"
#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <memory>

using namespace orch;

namespace {

// Notes what is run, and answers as it is told.
class FakeRunner final : public sys::ProcessRunner {
 public:
  sys::Result<sys::Exit> run(const sys::Command& command) override {
    seen = command;
    return answer;
  }
  sys::Result<sys::Child> start(const sys::Command&) override {
    return base::fail(base::ErrorKind::internal, "not asked for");
  }
  sys::Command seen;
  sys::Exit answer;
};

}  // namespace

TEST_SUITE("action/finish_parts") {
  TEST_CASE("programs of the host have a time limit, and who exceeds it fails the step") {
    const test::TempDir directory;
    auto tree = image::DirectoryTree::open(directory.path());
    REQUIRE(tree.has_value());
    auto view = image::MergedView::make({{"base", std::move(*tree)}}, image::OneLayer::overlay);
    REQUIRE(view.has_value());
    FakeRunner runner;
    action::Context context;
    context.scratch = directory.path();
    context.processes = &runner;
    const action::FinishStack stack{context, **view};
    action::FinishReport report;

    const auto ran = action::run_host_tool(stack, {"/usr/bin/tool", "x"}, report);
    REQUIRE(ran.has_value());
    CHECK(*ran);
    REQUIRE(runner.seen.timeout.has_value());
    CHECK(*runner.seen.timeout == std::chrono::minutes(5));

    runner.answer.status = 3;
    const auto failed = action::run_host_tool(stack, {"/usr/bin/tool", "x"}, report);
    REQUIRE(failed.has_value());
    CHECK_FALSE(*failed);
    CHECK(report.status == action::FinishReport::Status::not_done);
    CHECK(report.detail == "tool exited with status 3");

    runner.answer.timed_out = true;
    const auto late = action::run_host_tool(stack, {"/usr/bin/tool", "x"}, report);
    REQUIRE_FALSE(late.has_value());
    CHECK(late.error().what == "tool was ended after 5 minutes");
    CHECK(late.error().hint.find("finish = \"off\" in [stack]") != std::string::npos);
  }
}
