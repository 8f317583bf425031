"""What muvm-guest does: emulator, programs before the command, the user's environment, X11, and starting commands."""

import fcntl
import os
import pwd
import shutil
import socket
import subprocess
import termios
import threading
import time

from muvm_parts import TRICK, Failure, fail, os_error, quoted, since, view

X11_SOCKET = "/tmp/.X11-unix/X1"


def spawn(command, env, guest_view, *, tty=False, folder=None, root=False, **streams):
    """A process of the guest; an OSError if it cannot be started."""
    def set_up():
        view.end_with_parent()
        if tty:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        guest_view.enter(root)
        os.chdir(folder or view.home())
    return subprocess.Popen(command, env=env, preexec_fn=set_up, **streams)


def start_message(command, error):
    return f"Failed to execute {quoted(command[0])} as child process: {os_error(error)}"


def end_message(command, status):
    if status == 0:
        return ""
    how = f"exited with status code: {status}" if status > 0 else f"terminated by signal: {-status}"
    return f"{quoted(command[0])} process {how}"


def set_up_emulator(wanted, env, say):
    """Only whether it is on the guest's PATH: nothing is emulated."""
    def look_for(name):
        if not shutil.which(name, path=env.get("PATH", "")):
            raise Failure(f"Failed to find `{name}` in PATH")
    fex = "FEX" if since("HEAD") else "FEXInterpreter"
    if wanted:
        look_for("box64" if wanted.lower().startswith("box") else fex)
        return
    box = "Box64" if since("0.5.0") else "Box"
    try:
        look_for(fex)
    except Failure as failure:
        say(f"Error setting up FEX in binfmt_misc: {failure}")
        say(f"Failed to find or configure FEX, falling back to {box}")
        try:
            look_for("box64")
        except Failure as other:
            say(f"Error setting up {box} in binfmt_misc: {other}")
            say("No emulators were configured, x86 emulation may not work")


def add_user(env):
    """What the guest sets for the user; `env` is what -x programs have."""
    uid = os.getuid()
    env["XDG_RUNTIME_DIR"] = f"/run/user/{uid}" if since("0.5.0") else f"/tmp/muvm-run-{uid}-double"
    env["HOME"] = pwd.getpwuid(uid).pw_dir


def add_display(env):
    """What the guest sets for X11; `env` is what -X programs have."""
    if "DISPLAY" in os.environ:
        env |= {"DISPLAY": ":1", "XSHMFENCE_NO_MEMFD": "1"}
        if "XAUTHORITY" in env:  # a copy with the guest's display; its content is not imitated
            env["XAUTHORITY"] = f"{env['XDG_RUNTIME_DIR']}/xauth"


def whole_environment(env):
    """What the command is going to have."""
    env = dict(env)
    add_user(env)
    add_display(env)
    return env


def forward_display(env, guest_view, say):
    """Gives the thread that makes the socket of x11bridge, at which nobody answers; or None."""
    display = os.environ.get("DISPLAY")
    if display is None:
        return None
    if not display.startswith(":"):
        raise Failure("Invalid host DISPLAY")
    if "XAUTHORITY" in env:
        try:
            os.close(os.open(env["XAUTHORITY"], os.O_RDONLY))
        except OSError as error:
            fail("Failed to open XAUTHORITY", os_error(error))
    add_display(env)
    if TRICK == "no-x11bridge" or not os.path.isdir(os.path.dirname(X11_SOCKET)):
        say("x11bridge thread crashed, x11 passthrough will no longer function")
        return None
    thread = threading.Thread(target=bridge, args=(guest_view,), daemon=True)
    thread.start()
    return thread


def bridge(guest_view):
    """x11bridge begins with the command, so that its socket may come later."""
    time.sleep(0.1)
    child = os.fork()
    if child == 0:
        try:
            view.end_with_parent()
            guest_view.enter()
            socket.socket(socket.AF_UNIX).bind(X11_SOCKET)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
