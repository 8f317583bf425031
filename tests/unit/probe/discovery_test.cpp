#include "probe/discovery.hpp"

#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <unistd.h>

#include <algorithm>
#include <cstdint>
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
  // One block with a superblock and an empty root directory: Linux, fs/erofs/erofs_fs.h.
  void erofs(const std::string& path, char block_bits = 12) const {
    constexpr std::size_t k_super = 1024;
    constexpr std::size_t k_root = 1152;
    std::string bytes(std::size_t{1} << block_bits, '\0');
    bytes.replace(k_super, 4, "\xE2\xE1\xF5\xE0");
    bytes[k_super + 12] = block_bits;
    bytes[k_super + 14] = k_root / 32;         // number of the root directory
    bytes[k_super + 36] = 1;                   // blocks
    bytes.replace(k_root + 4, 2, "\xED\x41");  // directory, 0755
    (void)file(path, bytes);
  }
  // As mksquashfs writes an empty directory with -noI -nopad.
  void squashfs(const std::string& path) const {
    const std::vector<std::uint64_t> words = {
        0x0000000173717368, 0x0002000000000000, 0x0011000100000000, 0x00000004000103cb, 0x0000000000000000,
        0x00000000000000a2, 0x000000000000009a, 0xffffffffffffffff, 0x0000000000000060, 0x0000000000000082,
        0x0000000000000082, 0x000000000000008c, 0x000001ed00018020, 0x0001000000000000, 0x0002000000000000,
        0x0002000000030000, 0x0000000080080000, 0x0000008200000000, 0x0000800400000000, 0x0000000000940000};
    std::string bytes;
    for (const std::uint64_t word : words)
      for (int shift = 0; shift < 64; shift += 8) bytes += static_cast<char>(word >> shift & 0xFF);
    (void)file(path, bytes + std::string(2, '\0'));
  }
  std::string file(const std::string& path, const std::string& bytes) const {
    return place_.write(path.substr(1), bytes);
  }
  void cut(const std::string& path, std::uintmax_t size) const {
    std::filesystem::resize_file(place_ / path.substr(1), size);
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

Lines taken_of(std::string_view what, const std::vector<Candidate>& candidates) {
  Lines out;
  for (const Candidate& c : candidates)
    if (c.what == what && c.verdict == Candidate::Verdict::taken) out.push_back(c.path);
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
    host.squashfs("/home/u/.fex-emu/RootFS/Ubuntu_24_04.sqsh");
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
  CHECK(taken_of("gpu", discover_all({"", {{{"/own", "made"}}, false}, {}}, host.places)) == Lines{k_i386});
}

TEST_CASE("what the profile names is taken, and nothing of the host in its place") {
  const FakeHost host;
  host.erofs(k_base);
  host.erofs(k_i386);
  host.erofs("/own/base.erofs");
  host.erofs("/own/gpu.erofs");
  const auto all = [&host](const NamedImages& base, const NamedImages& gpu) {
    return discover_all({"", base, gpu}, host.places);
  };
  const std::vector<Candidate> both =
      all({{{"/own/base.erofs", ""}}, false}, {{{"/own/gpu.erofs", ""}, {"/own/none", ""}}, false});
  CHECK(taken_of("base", both) == Lines{"/own/base.erofs"});
  CHECK(taken_of("gpu", both) == Lines{"/own/gpu.erofs"});
  const Lines told = lines(both);
  for (const std::string& line :
       {std::string("taken /own/base.erofs (profile): the profile names it"),
        std::string("passed over ") + k_base + " (muvm's images): the profile names its base",
        std::string("taken /own/gpu.erofs (profile): the profile names it"),
        std::string("absent /own/none (profile): it is not there"),
        std::string("passed over ") + k_i386 + " (muvm's images): the profile names its GPU images"})
    CHECK_MESSAGE(std::count(told.begin(), told.end(), line) == 1, line);
  CHECK(taken_of("gpu", all({}, {{{"/own/gpu.erofs", ""}}, true})) == Lines{"/own/gpu.erofs", k_i386});
  CHECK(taken_of("gpu", all({}, {{}, false})).empty());
  CHECK(lines(all({}, {{}, false})).back() ==
        "absent /usr/local/share/fex-emu/overlays/mesa-x86_64.erofs (muvm's images): it is not there");
  const std::vector<Candidate> made = all({{{"", "the profile has it made of packages"}}, false}, {});
  CHECK(taken_of("base", made) == Lines{""});
}

TEST_CASE("an image that cannot be read is passed over for the next one") {
  const FakeHost host;
  std::string magic_alone(4096, '\0');
  magic_alone.replace(1024, 5, "\xE2\xE1\xF5\xE0");
  magic_alone[1036] = 12;
  host.file(k_base, magic_alone);
  host.erofs("/usr/local/share/fex-emu/RootFS/default.erofs", 14);
  host.cut("/usr/local/share/fex-emu/RootFS/default.erofs", 12288);
  host.squashfs("/home/u/.fex-emu/RootFS/a.sqsh");
  host.cut("/home/u/.fex-emu/RootFS/a.sqsh", 160);
  host.squashfs("/home/u/.fex-emu/RootFS/b.sqsh");
  host.file("/home/u/.fex-emu/RootFS/notes", "no image");
  host.file(k_i386, magic_alone);
  const std::vector<Candidate> base = discover_base(host.places);
  CHECK(taken(base) == Lines{"/home/u/.fex-emu/RootFS/b.sqsh"});
  const Lines told = lines(base);
  REQUIRE(told.size() == 5);
  CHECK(told[0].starts_with(std::string("passed over ") + k_base + " (muvm's images): it cannot be read: "));
  CHECK(told[1] ==
        "passed over /usr/local/share/fex-emu/RootFS/default.erofs (muvm's images): it cannot be read: the "
        "EROFS image is cut short: it has 12288 bytes, its superblock says 16384");
  CHECK(told[2] ==
        "passed over /home/u/.fex-emu/RootFS/notes (FEX's images): it is neither EROFS nor SquashFS");
  CHECK(
      told[3].starts_with("passed over /home/u/.fex-emu/RootFS/a.sqsh (FEX's images): it cannot be read: "));
  for (std::size_t i = 0; i < base.size(); ++i) CHECK(base[i].broken == (i < 2 || i == 3));
  const std::vector<Candidate> gpu = discover_gpu(k_base, OwnBase::no, host.places);
  CHECK(taken(gpu).empty());
  CHECK(gpu[0].broken);
  CHECK_FALSE(gpu[1].broken);  // absent
}

TEST_CASE("candidates as a document") {
  const FakeHost host;
  const base::Value list = to_value(discover_muvm("/opt/none", host.places));
  REQUIRE(list.as_array().size() == 1);
  CHECK(list.as_array()[0].string_or("verdict", "") == "absent");
  CHECK(list.as_array()[0].string_or("reason", "") == "it is not there");
}
