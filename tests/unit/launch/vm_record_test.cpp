#include "launch/vm_record.hpp"

#include <doctest/doctest.h>

#include <unistd.h>

using namespace orch::launch;
using orch::model::LaunchSpec;
using Kind = VmChoice::Kind;

namespace {

LaunchSpec spec(const char* app, const char* digest, const char* mode) {
  LaunchSpec out;
  out.app = app;
  out.gpu_mode = mode;
  out.images = {{"/i/base.erofs", "base", digest}};
  return out;
}

VmState running(const LaunchSpec& of) {
  VmRecord record = vm_record_of(of);
  record.pid = 7;
  return {7, record};
}

Kind choose(const char* policy, const VmState& state, const LaunchSpec& wanted) {
  return choose_vm(policy, state, vm_record_of(wanted)).kind;
}

}  // namespace

TEST_CASE("a VM is joined only if its record says that it is the same one") {
  const LaunchSpec a = spec("a", "11", "");
  CHECK(choose("auto", {}, a) == Kind::start);
  CHECK(choose("auto", running(a), a) == Kind::join);
  CHECK(choose("auto", running(a), spec("another app", "11", "")) == Kind::join);
  CHECK(choose("auto", running(a), spec("a", "11", "drm")) == Kind::join);  // muvm's own mode
  CHECK(choose("auto", running(a), spec("a", "22", "")) == Kind::wait);
  CHECK(choose("auto", running(a), spec("a", "11", "venus")) == Kind::wait);
  LaunchSpec options = a;
  options.muvm_args = {"--mem=1024"};
  CHECK(choose("auto", running(a), options) == Kind::wait);
  CHECK(choose("auto", {7, std::nullopt}, a) == Kind::refuse);
  CHECK(choose("auto", {0, std::nullopt}, a) == Kind::refuse);
  CHECK(choose("shared", {7, std::nullopt}, a) == Kind::join);
  CHECK(choose("shared", running(a), spec("a", "22", "")) == Kind::join);
}

TEST_CASE("a record is read as it was written, and nothing else is") {
  VmRecord record = vm_record_of(spec("two words", "ab\ncd", "venus"));
  record.pid = 12;
  record.start = 345;
  record.options = {"--mem=1", ""};
  const std::optional<VmRecord> read = decode_vm_record(encode(record));
  REQUIRE(read);
  CHECK(read->pid == 12);
  CHECK(read->start == 345);
  CHECK(read->app == "two words");
  CHECK(read->same_vm(record));
  const std::string text = encode(record);
  for (std::size_t cut = 0; cut + 1 < text.size(); ++cut) CHECK_FALSE(decode_vm_record(text.substr(0, cut)));
  CHECK_FALSE(decode_vm_record("appimage-orch vm 2\nend\n"));
}

TEST_CASE("a process has a start time, no process has none") {
  CHECK(process_start(::getpid()) > 0);
  CHECK(process_start(0) == 0);
}
