#include "launch/muvm_probe.hpp"

#include "support/temp_dir.hpp"
#include "sys/file.hpp"

#include <doctest/doctest.h>

using namespace orch::launch;
namespace sys = orch::sys;

namespace {

class FakeMuvm final : public sys::ProcessRunner {
 public:
  sys::Result<sys::Exit> run(const sys::Command& command) override {
    ++asked;
    last = command.argv;
    sys::Exit out;
    out.output = help;
    return out;
  }
  sys::Result<sys::Child> start(const sys::Command&) override {
    FAIL("not this way");
    std::abort();
  }
  std::string help = "Usage: muvm [--emu=EMU] [--execute-pre=PATH]";
  std::vector<std::string> last;
  int asked = 0;
};

}  // namespace

TEST_CASE("muvm is asked once for each of its builds, a script around it each time") {
  const orch::test::TempDir folder;
  FakeMuvm muvm;
  Host host;
  host.cache_dir = folder.path() + "/cache";
  host.processes = &muvm;
  std::string digest = "0a";
  host.file_digest = [&digest](const std::string&) { return digest; };
  const std::string program = folder.path() + "/muvm";
  REQUIRE(sys::write_atomic(program,
                            "\x7F"
                            "ELF and more"));
  const auto release = [&] { return probe_muvm(program, host)->at_least; };

  CHECK(release() == "0.4.0");
  CHECK(muvm.last == std::vector<std::string>{program, "--help"});
  muvm.help += " [--gpu-mode=GPU_MODE]";
  CHECK(release() == "0.4.0");
  CHECK(muvm.asked == 1);
  digest = "0b";
  CHECK(release() == "0.5.0");
  CHECK(release() == "0.5.0");
  CHECK(muvm.asked == 2);

  REQUIRE(sys::write_atomic(program, "#!/bin/sh\nexec /opt/muvm \"$@\"\n"));
  CHECK(release() == "0.5.0");
  CHECK(release() == "0.5.0");
  CHECK(muvm.asked == 4);
  muvm.help = "no such thing";
  CHECK(probe_muvm(program, host).error().what.find("printed no usage: no such thing") != std::string::npos);
}
