#include "elf/app_start.hpp"

#include <doctest/doctest.h>

#include "../image/memory_tree.hpp"

using orch::elf::AppStart;
using orch::elf::read_app_start;
using orch::elf::read_start_script;
using orch::elf::ScriptReading;
using Strings = std::vector<std::string>;
namespace image = orch::image;

TEST_CASE("a script's own directory is known however it is found out") {
  for (const char* here : {R"x(HERE="$(dirname "$(readlink -f "${0}")")")x", R"x(HERE=${0%/*})x",
                           R"x(HERE="$( cd "$( dirname "${BASH_SOURCE[0]}" )" && pwd )")x",
                           R"x(export HERE=$(dirname $(realpath "$0")))x", R"x(HERE="$APPDIR")x",
                           "SELF=$(readlink -f \"$0\")\nHERE=${SELF%/*}",
                           "SELF=$(readlink -f \"$0\")\nHERE=$(dirname \"$SELF\")"}) {
    CAPTURE(here);
    const ScriptReading read =
        read_start_script(std::string("#!/bin/sh\n") + here +
                              "\nexport LD_LIBRARY_PATH=\"$HERE/usr/lib:${LD_LIBRARY_PATH}\"\n"
                              "exec \"${HERE}/usr/bin/app\" \"$@\"\n",
                          "/app");
    CHECK(read.library_path == Strings{"/app/usr/lib"});
    CHECK(read.commands == Strings{"/app/usr/bin/app"});
    CHECK(read.unknown.empty());
  }
}

TEST_CASE("what is taken over comes last, and what cannot be read off is named") {
  const ScriptReading read = read_start_script(
      "LD_LIBRARY_PATH=$APPDIR/a\n"
      "export LD_LIBRARY_PATH=$APPDIR/b:$LD_LIBRARY_PATH\n"
      "LD_LIBRARY_PATH=${APPDIR}/c:$WHO/d:/opt/e${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}\n",
      "/app");
  CHECK(read.library_path.front() == "/app/c");
  CHECK(read.library_path.back() == "/app/a");
  CHECK(read.unknown == Strings{"$WHO/d"});
}

TEST_CASE("words in comments, quotes and arguments are no commands") {
  const ScriptReading read = read_start_script(
      "# exec $APPDIR/no\n"
      "echo $APPDIR/no \"$APPDIR/no\"\n"
      "[ -e $APPDIR/no ] || exit\n"
      "exec \\\n  $APPDIR/first \\\n  $APPDIR/no\n"
      "exec -a \"$ARGV0\" $APPDIR/named $APPDIR/no\n"
      "if true; then exec env A=1 \"$APPDIR/yes\" $APPDIR/no; fi\n",
      "/app");
  CHECK(read.commands == Strings{"/app/first", "/app/named", "/app/yes"});
}

namespace {

image::Entry entry_of(image::EntryKind kind) {
  image::Entry entry;
  entry.kind = kind;
  entry.target = "AppRun";
  return entry;
}

}  // namespace

TEST_CASE("a script leads to the programs that are there") {
  orch::test::MemoryTree tree;
  const auto usr = tree.directory(tree.root(), "usr");
  tree.file(tree.directory(usr, "bin"), "app", "x");
  tree.file(tree.root(), "AppRun", "#!/bin/sh\nexec $APPDIR/usr/bin/app\nexec $APPDIR/usr/bin/other\n");
  const auto start = read_app_start(tree, entry_of(image::EntryKind::script), "app %F", "/app");
  REQUIRE(start);
  CHECK(start->programs == Strings{"usr/bin/app"});
  CHECK(start->library_path.empty());
}

TEST_CASE("without a readable command the desktop entry says what is started") {
  orch::test::MemoryTree tree;
  const auto usr = tree.directory(tree.root(), "usr");
  tree.file(tree.directory(usr, "bin"), "app", "x");
  tree.file(tree.root(), "AppRun", "#!/bin/sh\nexec \"$WHATEVER\"\n");
  const auto start = read_app_start(tree, entry_of(image::EntryKind::script), "app %F", "/app");
  REQUIRE(start);
  CHECK(start->programs == Strings{"usr/bin/app"});
}

TEST_CASE("an AppRun of its own that starts the desktop entry's program sets AppImageKit's library path") {
  orch::test::MemoryTree tree;
  const auto usr = tree.directory(tree.root(), "usr");
  tree.file(tree.directory(usr, "bin"), "app", "x");
  tree.file(tree.root(), "AppRun", "x");
  const auto start = read_app_start(tree, entry_of(image::EntryKind::elf), "app", "/app");
  REQUIRE(start);
  CHECK(start->programs == Strings{"AppRun", "usr/bin/app"});
  CHECK(start->library_path.front() == "/app/usr/lib");
  CHECK(start->notes.size() == 1);
}

TEST_CASE("an AppRun that is the program has no library path") {
  orch::test::MemoryTree tree;
  tree.file(tree.root(), "AppRun", "x");
  const auto start = read_app_start(tree, entry_of(image::EntryKind::elf), "app", "/app");
  REQUIRE(start);
  CHECK(start->programs == Strings{"AppRun"});
  CHECK(start->library_path.empty());
}
