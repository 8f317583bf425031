#include "launch/advice.hpp"

#include "support/golden.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <string>

using namespace orch::launch;

namespace {

struct Row {
  const char* id;
  const char* output;  // as the programs print it
  const char* word;    // that the advice names; empty: none
};

const Row k_rows[] = {
    {"fex-rootfs-mount", "Failed to mount FEX rootfs, carrying on without. Error: Failed to mount erofs", ""},
    {"erofs-blocks",
     "[    1.2] erofs: (device vdb): erofs_read_superblock: blkszbits 14 isn't supported on this platform",
     ""},
    {"erofs-compression", "erofs: (device vda): unidentified algorithms 8, please upgrade kernel", ""},
    {"fex-rootfs-empty", "Current RootFS path set to ''", ""},
    {"fex-rootfs-empty", "RootFS path set to ''", ""},
    {"fex-rootfs-absent", "RootFS path doesn't exist. This is required on AArch64 hosts", ""},
    {"fex-bad-elf", "Invalid or Unsupported elf file.", ""},
    {"fex-server", "Couldn't execute: FEXServer", ""},
    {"binfmt", "Error setting up FEX in binfmt_misc: No such file or directory", ""},
    {"page-size", "<jemalloc>: Unsupported system page size", ""},
    {"muvm-microvm", "Error: Failed to create the microVM", ""},
    {"muvm-libkrunfw", "Couldn't find or load libkrunfw.so.5", "libkrunfw.so.5"},
    {"muvm-gpu", "thread 'gpu worker' panicked at x: Rutabaga initialization failed!: ComponentError(22)",
     ""},
    {"muvm-gpu", "MESA: error: could not connect vdrm: No such file or directory", ""},
    {"muvm-reuse-late",
     "Error: could not request launch to server: could not connect to muvm server: Connection refused (os "
     "error 111)",
     ""},
    {"library",
     "/a/usr/bin/x: error while loading shared libraries: libfoo.so.1: cannot open shared object file: No "
     "such file or "
     "directory",
     "libfoo.so.1"},
    {"symbol-version",
     "/a/x: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by /a/x)",
     "/lib/x86_64-linux-gnu/libc.so.6"},
    {"symbol", "/a/x: symbol lookup error: /a/libb.so: undefined symbol: _Zfoo", "_Zfoo"},
    {"wrong-class", "ImportError: /opt/lib/libx.so: wrong ELF class: ELFCLASS32", "/opt/lib/libx.so"},
    {"interpreter", "appimage-orch: 1: exec: /c/app/AppRun: not found", "/c/app/AppRun"},
    {"interpreter", "/c/app/AppRun: /usr/bin/foo: bad interpreter: No such file or directory",
     "/c/app/AppRun"},
    {"libfuse", "dlopen(): error loading libfuse.so.2", ""},
    {"libfuse", "fuse: device not found, try 'modprobe fuse' first", ""},
    {"libfuse", "open /dev/fuse: Permission denied", ""},
    {"chromium-sandbox",
     "[1:2:FATAL:setuid_sandbox_host.cc(157)] The SUID sandbox helper binary was found, but is not "
     "configured correctly.",
     ""},
    {"chromium-sandbox", "FATAL:zygote_host_impl_linux.cc] No usable sandbox! Update your kernel", ""},
    {"chromium-threads",
     "[1:2:ERROR:platform_thread_posix.cc(147)] pthread_create: Resource temporarily unavailable (11)", ""},
    {"qt-platform",
     "qt.qpa.plugin: Could not load the Qt platform plugin \"xcb\" in \"\" even though it was found.", "xcb"},
    {"qt-platform",
     "This application failed to start because it could not find the Qt platform plugin \"xcb\"", "xcb"},
    {"python-encodings", "ModuleNotFoundError: No module named 'encodings'", ""},
    // The other words of the same failures.
    {"erofs-blocks",
     "erofs: (device vdb): erofs_read_superblock: blocksize 16384 isn't supported on this platform", ""},
    {"erofs-compression", "erofs: (device vda): unidentified incompatible feature 40, please upgrade kernel",
     ""},
    {"muvm-gpu", "Error opening virtio-gpu device for Asahi native context", ""},
    {"wrong-class", "/a/x: /opt/lib/libx.so: cannot open shared object file: Exec format error",
     "/opt/lib/libx.so"},
    {"libfuse", "open /dev/fuse: No such file or directory", ""},
    {"chromium-sandbox",
     "Failed to move to new namespace: PID namespaces supported, Network namespace supported", ""},
    {"chromium-sandbox", "The setuid sandbox is not running as root. Common causes:", ""},
    {"chromium-threads", "mmap(0x0, 4096) failed: Cannot allocate memory (12)", ""},
    {"chromium-threads", "Out of memory: the mmap of the heap has failed", ""},
    {"python-encodings", "Python runtime state: core initialized: Failed to import encodings module", ""},
    {"display", "Gtk-WARNING **: cannot open display: :1", ""},
    {"gl", "libGL error: failed to load driver: asahi", ""},
    {"gl", "MESA-LOADER: failed to open zink: x", ""},
    {"os-error-2", "Error: No such file or directory (os error 2)", ""},
};

}  // namespace

TEST_CASE("each known failure is known by its real text") {
  std::map<std::string, int> seen;
  for (const Row& row : k_rows) {
    CAPTURE(std::string(row.output));
    const std::vector<Advice> found =
        advice_for("one line before\n" + std::string(row.output) + "\nand one after\n");
    const auto advice =
        std::find_if(found.begin(), found.end(), [&row](const Advice& a) { return a.id == row.id; });
    REQUIRE(advice != found.end());
    CHECK((advice->meaning + advice->action).find(row.word) != std::string::npos);
    CHECK(advice->meaning.find("{}") == std::string::npos);
    ++seen[row.id];
  }
  for (const Signature& signature : signatures()) CHECK_MESSAGE(seen[signature.id] > 0, signature.id);
}

TEST_CASE("ordinary output is no failure") {
  CHECK(advice_for("").empty());
  CHECK(advice_for("hello\nloading plugin 3\nsandbox enabled\nno display settings found\nencodings: utf-8\n")
            .empty());
  CHECK(advice_for(std::string(5000, 'x') + " cannot open display").empty());
}

TEST_CASE("the last line with a signature counts, and eight are enough") {
  const std::string head = "/a: error while loading shared libraries: ";
  const std::string tail = ": cannot open shared object file\n";
  const std::vector<Advice> found = advice_for(head + "libone.so" + tail + head + "libtwo.so" + tail);
  REQUIRE(found.size() == 1);
  CHECK(found[0].meaning == "the loader did not find 'libtwo.so' in the merged view");
  std::string all;
  for (const Row& row : k_rows) all += std::string(row.output) + "\n";
  CHECK(advice_for(all).size() == 8);
}

TEST_CASE("the page has the table") {
  std::string page =
      "# Known failures\n\nWhat `run` makes of known lines in the output of an application that failed. "
      "`signatures` in the\n"
      "report has the ones that were found. The table is `src/launch/advice.cpp`; this page is written from "
      "it.\n\n"
      "| id | what it means | what to do |\n|---|---|---|\n";
  for (const Signature& signature : signatures()) {
    std::string row =
        std::string("| `") + signature.id + "` | " + signature.meaning + " | " + signature.action + " |\n";
    for (std::size_t at = row.find("{}"); at != std::string::npos; at = row.find("{}"))
      row.replace(at, 2, "…");
    page += row;
  }
  orch::test::check_page("docs/advice.md", page);
}
