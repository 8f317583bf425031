#include "probe/doctor.hpp"

#include <doctest/doctest.h>

using orch::probe::install_command;

TEST_CASE("the command that installs a thing is this distribution's, where its archive has it") {
  CHECK(install_command("passt", "ID=debian\n") == "sudo apt install passt");
  CHECK(install_command("ninja", "ID=ubuntu-asahi\nID_LIKE=\"ubuntu debian\"\n") ==
        "sudo apt install ninja-build");
  CHECK(install_command("muvm", "ID=debian\n").empty());
  CHECK(install_command("muvm", "ID=fedora-asahi-remix\nID_LIKE=fedora\n") == "sudo dnf install muvm");
  CHECK(install_command("base-image", "ID=fedora\n") == "sudo dnf install fex-emu-rootfs-fedora");
  CHECK(install_command("sound", "ID=archarm\n") == "sudo pacman -S socat");
  CHECK(install_command("sound", "ID=gentoo\n").empty());
  CHECK(install_command("sound", "").empty());
  CHECK(install_command("kvm", "ID=debian\n").empty());
}
