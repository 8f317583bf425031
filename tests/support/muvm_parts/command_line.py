"""muvm's command line, as bpaf parses it."""

import re

from muvm_parts import Failure, fail, since

# short, long, argument, how often ("many", "once"), since which release
OPTIONS = (("c", "cpu-list", "CPU_LIST", "many", "0.3.0"), ("e", "env", "ENV", "many", "0.3.0"), ("", "mem", "MEM", "once", "0.3.0"),
           ("", "vram", "VRAM", "once", "0.3.0"), ("f", "fex-image", "FEX_IMAGE", "many", "0.3.0"),
           ("", "passt-socket", "PATH", "once", "0.3.0"), ("", "passt-args", "ARGS", "many", "0.6.0"), ("m", "merged-rootfs", "", "once", "0.3.0"),
           ("i", "interactive", "", "once", "0.3.0"), ("t", "tty", "", "once", "0.3.0"), ("", "privileged", "", "once", "0.3.0"),
           ("", "gpu-mode", "GPU_MODE", "once", "0.5.0"), ("p", "publish", "PUBLISH", "many", "0.3.0"), ("", "emu", "EMU", "once", "0.3.0"),
           ("x", "execute-pre", "PATH", "many", "0.4.0"), ("X", "user-execute-pre", "PATH", "many", "0.5.0"))


class Line:
    def __init__(self, words):
        self.known = {o[1]: o for o in OPTIONS if since(o[4])}
        self.shorts = {o[0]: o for o in self.known.values() if o[0]}
        self.values, self.command, self.help = {}, [], False
        rest = list(words)
        while rest and rest[0] != b"--":
            word = rest.pop(0)
            if not self.option(word, rest):
                if word in (b"-h", b"--help"):
                    if self.command:
                        raise Failure(f"`{word.decode()}` is not expected in this context")
                    self.help = True
                    return
                self.command.append(word)
        for word in rest[1:]:  # the first "--" is consumed
            if word in (b"-h", b"--help") and self.command:
                raise Failure(f"`{word.decode()}` is not expected in this context")
            self.command.append(word)

    def take(self, option, value):
        _, name, argument, often, _ = option
        if often == "once" and name in self.values:
            return False
        try:
            text = value.decode() if argument else True
        except UnicodeDecodeError:
            fail(f"couldn't parse `{value.decode('utf-8', 'replace')}`: not utf8")
        self.values.setdefault(name, []).append(self.checked(name, text))
        return True

    @staticmethod
    def checked(name, text):
        def refuse(why):
            fail(f"couldn't parse `{text}`: {why}")
        if name in ("mem", "vram") and not text.isdigit():
            refuse("invalid digit found in string")
        if name == "gpu-mode" and text not in ("drm", "venus", "software"):
            refuse("Invalid GPU mode")
        if name == "emu" and not text.lower().startswith(("box", "fex")):
            refuse("Unknown emulator")
        if name == "cpu-list" and not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", text):
            refuse("invalid digit found in string")
        if name == "env" and text.startswith("="):
            refuse("invalid ENV format")
        return text

    def option(self, word, rest):
        """Whether the word is an option that is taken; what is not slides into the command."""
        name, equals, value = word.partition(b"=")
        if name.startswith(b"--"):
            option = self.known.get(name[2:].decode("utf-8", "replace"))
            if not option or (equals and not option[2]):
                return False
            return self.argument(option, value if equals else None, rest)
        if not re.match(rb"-[A-Za-z]", word):
            return False
        letters = word[1:].decode("latin-1")
        if all(self.shorts.get(c, ("", "", "x"))[2] == "" for c in letters):
            if any(self.shorts[c][1] in self.values for c in letters) or len(set(letters)) < len(letters):
                return False
            return all([self.take(self.shorts[c], b"") for c in letters])
        option = self.shorts.get(letters[0])
        if not option or not option[2]:
            return False
        attached = word[2:]
        return self.argument(option, attached[1:] if attached.startswith(b"=") else attached or None, rest)

    def argument(self, option, attached, rest):
        if not option[2] or attached is not None:
            return self.take(option, attached or b"")
        if option[3] == "once" and option[1] in self.values:
            return False
        if not rest or rest[0].startswith(b"-"):
            fail(f"`--{option[1]}` requires an argument `{option[2]}`")
        return self.take(option, rest.pop(0))

    def get(self, name):
        return self.values.get(name, [])


def usage():
    lines = ["Usage: muvm [OPTION]... COMMAND [COMMAND_ARGS]...", "", "Available options:"]
    for short, name, argument, _, release in OPTIONS:
        if since(release):
            lines.append(f"    {'-' + short + ', ' if short else '    '}--{name}{'=' + argument if argument else ''}")
    return "\n".join([*lines, "    -h, --help           Prints help information", ""])
