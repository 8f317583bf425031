"""What muvm puts together on the host before there is a VM: its configuration, the environment, the list of images, and
what it says on the way."""

import json
import os
import pwd
import sys
from pathlib import Path

from muvm_parts import TRICK, fail, os_error, since

FORWARDED = ("LANG LC_ADDRESS LC_ALL LC_COLLATE LC_CTYPE LC_IDENTIFICATION LC_MEASUREMENT LC_MESSAGES LC_MONETARY LC_NAME LC_NUMERIC LC_PAPER "
             "LC_TELEPHONE LC_TIME LD_LIBRARY_PATH LIBGL_DRIVERS_PATH MESA_LOADER_DRIVER_OVERRIDE PATH RUST_LOG XMODIFIERS").split()


def configured():
    """The execute_pre of muvm's configuration file, or None. What muvm's JSON parser says of a bad one is not imitated."""
    if not since("0.4.0"):
        return None
    if "XDG_CONFIG_DIR" in os.environ:
        own = Path(os.environ["XDG_CONFIG_DIR"])
    elif "HOME" in os.environ:
        own = Path(os.environ["HOME"]) / ".config"
    else:
        fail("Failed to get HOME", "environment variable not found")
    for folder in (own, Path("/etc"), Path("/usr/lib")):
        try:
            program = json.loads((folder / "muvm/config.json").read_bytes()).get("execute_pre")
        except FileNotFoundError:
            continue
        except OSError as error:
            fail(os_error(error))
        except (ValueError, AttributeError) as error:
            fail(f"the configuration is no JSON object: {error}")
        if program is not None and not isinstance(program, str):
            fail("execute_pre is no path")
        return program
    return None


def environment(line, first):
    """What muvm gives the guest. `first`: it starts the VM."""
    env = {name: os.environ[name] for name in FORWARDED if name in os.environ}
    for name, value in env.items():
        try:
            value.encode()
        except UnicodeEncodeError:
            fail(f"Failed to get `{name}` env var", "environment variable was not valid unicode")
    if not {"LANG", "LC_CTYPE", "LC_ALL"} & set(env):
        env["LANG"] = "C.UTF-8"
    env |= {"GTK_IM_MODULE": "xim", "QT_IM_MODULE": "xim"}
    firefox = Path(pwd.getpwuid(os.getuid()).pw_dir) / ".mozilla/firefox"
    if firefox.is_dir():
        profile = firefox / "muvm-profile"
        profile.mkdir(exist_ok=True)
        env["XRE_PROFILE_PATH"] = str(profile)
    for item in line.get("env"):
        name, equals, value = item.partition("=")
        if not equals and name not in os.environ:
            fail(f"Failed to get `{name}` env var", "environment variable not found")
        env[name] = value if equals else os.environ[name]
    if first:
        env["HK_SYSMEM"] = str(int((line.get("vram") or ["4096"])[0]) << 20)
        if "XAUTHORITY" in os.environ:
            env["XAUTHORITY"] = os.environ["XAUTHORITY"]
        if line.get("gpu-mode") == ["venus"]:
            env["MESA_LOADER_DRIVER_OVERRIDE"] = "zink"
    return env


def images_of(line):
    defaults = ("RootFS/default.erofs", "overlays/mesa-i386.erofs", "overlays/mesa-x86_64.erofs")
    return line.get("fex-image") or [path for name in defaults if os.path.exists(path := f"/usr/share/fex-emu/{name}")]


def say_of_sound(runtime):
    """After 0.6.0 muvm looks for PulseAudio by PULSE_SERVER first, and says what it does not find."""
    if not since("HEAD"):
        return
    server = os.environ.get("PULSE_SERVER")
    if server and server.startswith("unix:") and os.path.exists(server[5:]):
        return
    if server is None:  # what is said of one that is set and does not do is not imitated
        print("environment variable not found", file=sys.stderr, flush=True)
    if not (runtime / "pulse/native").exists():
        print(f"$XDR_RUNTIME_DIR/pulse/native (aka {runtime}/pulse/native) doesn't exit", file=sys.stderr, flush=True)


def make_noise(file, *lines):
    """What passt, the memory monitor and libkrun print on the host, if the trick asks for it."""
    if TRICK == "noise":
        for text in lines:
            print(text, file=file, flush=True)
