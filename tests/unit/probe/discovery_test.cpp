#include "probe/discovery.hpp"

#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <unistd.h>

#include <filesystem>

using namespace orch;
using namespace orch::probe;
using Lines = std::vector<std::string>;

namespace {

// A host that is a tree of files; whatever it has not got does not exist, though this machine may have it.
class FakeHost {
 public:
  FakeHost() {
    places.tree = sys::HostTree::below(place_.path());
    places.environment = {{"HOME", "/home/u"}, {"PATH", "/usr/local/bin:/usr/bin:relative:"}};
  }
  void program(const std::string& path) const {
    std::filesystem::permissions(file(path,
                                      "\x7F"
                                      "ELF"),
                                 std::filesystem::perms::owner_all);
  }
  void erofs(const std::string& path, char block_bits = 12) const {
    std::string bytes(1200, '\0');
    bytes.replace(1024, 4, "\xE2\xE1\xF5\xE0");
    bytes[1036] = block_bits;
    (void)file(path, bytes);
  }
  std::string file(const std::string& path, const std::string& bytes) const {
    return place_.write(path.substr(1), bytes);
  }
  void link(const std::string& target, const std::string& path) const {
    const std::string name = place_ / path.substr(1);
    std::filesystem::create_directories(std::filesystem::path(name).parent_path());
    REQUIRE(::symlink(target.c_str(), name.c_str()) == 0);
  }
  void directory(const std::string& path) const {
    std::filesystem::create_directories(place_ / path.substr(1));
  }

  Places places;

 private:
  test::TempDir place_;
};

Lines lines(const std::vector<Candidate>& candidates) {
  Lines out;
  for (const Candidate& c : candidates)
    out.push_back(std::string(to_string(c.verdict)) + " " + c.path + " (" + c.found_by + "): " + c.reason);
  return out;
}

const char* const k_base = "/usr/share/fex-emu/RootFS/default.erofs";
const char* const k_i386 = "/usr/share/fex-emu/overlays/mesa-i386.erofs";
const char* const k_x64 = "/usr/share/fex-emu/overlays/mesa-x86_64.erofs";
const std::string k_local =
    "absent /usr/local/share/fex-emu/RootFS/default.erofs (muvm's images): it is not there";

}  // namespace

TEST_SUITE("hosts") {
  TEST_CASE("Fedora Asahi Remix with muvm and the packages of FEX") {
    const FakeHost host;
    for (const char* name : {"muvm", "FEX", "FEXServer", "FEXBash"})
      host.program(std::string("/usr/bin/") + name);
    host.erofs("/usr/share/fex-emu/images/f42.erofs");
    host.link("/usr/share/fex-emu/images/f42.erofs", k_base);
    host.erofs(k_x64);
    host.erofs(k_i386);
    CHECK(lines(discover_muvm("auto", host.places)) ==
          Lines{"taken /usr/bin/muvm (PATH): the first on PATH",
                "absent /usr/local/bin/muvm (usual place): it is not there",
                "absent /home/u/.local/bin/muvm (usual place): it is not there",
                "absent /home/u/.cargo/bin/muvm (usual place): it is not there"});
    CHECK(lines(discover_base(host.places)) ==
          Lines{std::string("taken ") + k_base + " (muvm's images): muvm would use it by itself (EROFS)",
                k_local,
                "absent /home/u/.local/share/fex-emu/RootFS (FEX's images): there is no image in it"});
    CHECK(taken(discover_gpu(k_base, OwnBase::no, host.places)) == Lines{k_i386, k_x64});
    CHECK(taken(discover_fex(host.places)) ==
          Lines{"/usr/bin/FEX", "/usr/bin/FEXServer", "/usr/bin/FEXBash"});
  }

  TEST_CASE("Ubuntu Asahi with FEX's own images in ~/.fex-emu") {
    const FakeHost host;
    host.program("/usr/local/bin/muvm");
    host.program("/usr/bin/FEXInterpreter");
    host.file("/home/u/.fex-emu/Config.json", R"({"Config": {"RootFS": "Ubuntu_24_04.sqsh"}})");
    host.file("/home/u/.fex-emu/RootFS/Ubuntu_24_04.sqsh", "hsqs and more");
    host.erofs("/home/u/.fex-emu/RootFS/Ubuntu_22_04.ero");
    host.file("/home/u/.fex-emu/RootFS/notes.erofs", "no image at all");
    host.directory("/home/u/.fex-emu/RootFS/Arch/usr");
    host.directory("/home/u/.fex-emu/RootFS/Arch/etc");
    CHECK(lines(discover_base(host.places)) ==
          Lines{std::string("absent ") + k_base + " (muvm's images): it is not there", k_local,
                "taken /home/u/.fex-emu/RootFS/Ubuntu_24_04.sqsh (FEX's configuration): "
                "'/home/u/.fex-emu/Config.json' names it (SquashFS, to be converted)",
                "passed over /home/u/.fex-emu/RootFS/Ubuntu_22_04.ero (FEX's images): "
                "'/home/u/.fex-emu/RootFS/Ubuntu_24_04.sqsh' comes first",
                "passed over /home/u/.fex-emu/RootFS/notes.erofs (FEX's images): it is neither EROFS nor "
                "SquashFS",
                "passed over /home/u/.fex-emu/RootFS/Arch (FEX's images): "
                "'/home/u/.fex-emu/RootFS/Ubuntu_24_04.sqsh' comes first"});
    CHECK(taken(discover_gpu("/home/u/.fex-emu/RootFS/Ubuntu_24_04.sqsh", OwnBase::no, host.places)).empty());
    CHECK(taken(discover_fex(host.places)) == Lines{"/usr/bin/FEXInterpreter"});
  }

  TEST_CASE("Arch: XDG folders, an image that nothing names, programs of cargo") {
    FakeHost host;
    host.places.environment["XDG_DATA_HOME"] = "/data/";
    host.program("/home/u/.cargo/bin/muvm");
    host.erofs("/data/fex-emu/RootFS/b.ero");
    host.erofs("/data/fex-emu/RootFS/a.ero", 14);
    CHECK(taken(discover_muvm("", host.places)) == Lines{"/home/u/.cargo/bin/muvm"});
    const Lines found = lines(discover_base(host.places));
    REQUIRE(found.size() == 4);
    CHECK(found[2] ==
          "taken /data/fex-emu/RootFS/b.ero (FEX's images): the first of FEX's own root images (EROFS)");
    CHECK(found[3] ==
          "passed over /data/fex-emu/RootFS/a.ero (FEX's images): '/data/fex-emu/RootFS/b.ero' comes first");
  }

  TEST_CASE("a bare x86_64 machine: nothing, and where it was looked for") {
    const FakeHost host;
    CHECK(taken(discover_muvm("auto", host.places)).empty());
    CHECK(discover_muvm("auto", host.places).size() == 4);
    CHECK(taken(discover_base(host.places)).empty());
    CHECK(taken(discover_fex(host.places)).empty());
    for (const Candidate& candidate : discover_gpu(std::nullopt, OwnBase::no, host.places))
      CHECK(candidate.verdict == Candidate::Verdict::absent);
  }
}

TEST_CASE("what is asked for by name is not replaced by anything else") {
  FakeHost host;
  host.program("/usr/bin/muvm");
  host.program("/opt/muvm");
  CHECK(taken(discover_muvm("/opt/muvm", host.places)) == Lines{"/opt/muvm"});
  CHECK(lines(discover_muvm("/opt/none", host.places)) ==
        Lines{"absent /opt/none (profile): it is not there"});
  host.places.environment["APPIMAGE_ORCH_MUVM"] = "/opt/muvm";
  CHECK(lines(discover_muvm("auto", host.places)) ==
        Lines{"taken /opt/muvm ($APPIMAGE_ORCH_MUVM): it was asked for"});
  host.program("/usr/local/bin/muvm2");
  host.places.environment["APPIMAGE_ORCH_MUVM"] = "muvm2";
  CHECK(lines(discover_muvm("auto", host.places)) ==
        Lines{"taken /usr/local/bin/muvm2 ($APPIMAGE_ORCH_MUVM): the first on PATH"});
  host.places.environment["APPIMAGE_ORCH_MUVM"] = "/opt/none";
  CHECK(taken(discover_muvm("auto", host.places)).empty());
  // This machine has it; the tree has not.
  CHECK(lines(discover_muvm("sh", host.places)) == Lines{"absent sh (profile): it is not on PATH"});
}

TEST_CASE("a program that cannot be run is passed over") {
  const FakeHost host;
  host.file("/usr/local/bin/muvm", "text");
  host.program("/usr/bin/muvm");
  const Lines found = lines(discover_muvm("auto", host.places));
  REQUIRE(found.size() == 4);
  CHECK(found[0] == "passed over /usr/local/bin/muvm (PATH): it is not a program that can be run");
  CHECK(found[1] == "taken /usr/bin/muvm (PATH): the first on PATH");
}

TEST_CASE("muvm's own image comes before what FEX is configured to use, and the overlays come with it") {
  const FakeHost host;
  host.erofs(k_base, 14);
  host.file("/home/u/.config/fex-emu/Config.json", R"({"Config": {"RootFS": "~/own"}})");
  host.directory("/home/u/own/usr");
  host.directory("/home/u/own/etc");
  host.erofs(k_i386);
  host.file(k_x64, "damaged");
  const Lines found = lines(discover_base(host.places));
  REQUIRE(found.size() == 4);
  CHECK(found[0] ==
        std::string("taken ") + k_base +
            " (muvm's images): muvm would use it by itself (EROFS with blocks larger than 4 KiB, to be "
            "converted)");
  CHECK(found[2] ==
        std::string("passed over /home/u/own (FEX's configuration): '") + k_base + "' comes first");
  CHECK(taken(discover_gpu(k_base, OwnBase::no, host.places)) == Lines{k_i386});
  CHECK(lines(discover_gpu("/home/u/own", OwnBase::no, host.places))[0] ==
        std::string("passed over ") + k_i386 +
            " (muvm's images): it belongs to the base image of its folder, which is not used");
}

TEST_CASE("a profile with a base of its own gets the overlays of the first folder that has some") {
  const FakeHost host;
  host.erofs(k_i386);
  host.erofs("/usr/local/share/fex-emu/overlays/mesa-i386.erofs");
  CHECK(taken(discover_gpu(std::nullopt, OwnBase::no, host.places)).empty());
  const Lines found = lines(discover_gpu(std::nullopt, OwnBase::yes, host.places));
  REQUIRE(found.size() == 4);
  CHECK(found[0] == std::string("taken ") + k_i386 +
                        " (muvm's images): it has the drivers, and the profile has a base (EROFS)");
  CHECK(found[2] ==
        "passed over /usr/local/share/fex-emu/overlays/mesa-i386.erofs (muvm's images): those below "
        "'/usr/share/fex-emu' come first");
  // The image that is found is not the one that the profile uses.
  host.erofs(k_base);
  std::vector<std::string> gpu;
  for (const Candidate& candidate : discover_all("", OwnBase::yes, host.places))
    if (candidate.what == "gpu" && candidate.verdict == Candidate::Verdict::taken)
      gpu.push_back(candidate.path);
  CHECK(gpu == Lines{k_i386});
}

TEST_CASE("candidates as a document") {
  const FakeHost host;
  const base::Value list = to_value(discover_muvm("/opt/none", host.places));
  REQUIRE(list.as_array().size() == 1);
  CHECK(list.as_array()[0].string_or("verdict", "") == "absent");
  CHECK(list.as_array()[0].string_or("reason", "") == "it is not there");
}
