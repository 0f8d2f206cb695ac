#!/usr/bin/env python3
"""Runs a command in a terminal of its own and writes what it showed as an animated SVG.

usage: recording.py OUT.svg COMMAND [ARGUMENT ...]

The exit status is the command's; a command that fails leaves the old recording alone. Needs nothing but Python.
"""

import html
import os
import pty
import re
import select
import struct
import sys
import termios
import time
import fcntl

COLUMNS, ROWS = 110, 32
# Enough to follow, small enough for a README.
MOST_FRAMES, LONGEST_PAUSE, LAST_PAUSE = 40, 1.0, 5.0
COLOURS = ["#484f58", "#ff7b72", "#3fb950", "#d29922", "#58a6ff", "#bc8cff", "#39c5cf", "#c9d1d9"]
CONTROL = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.|[\r\n\b\t]|[^\x1b\r\n\b\t]")

UNFINISHED = re.compile(rb"(?:\x1b(?:\[[?0-9;]*)?|[\xc0-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf7][\x80-\xbf]{0,2})$")


class Screen:
    """A terminal just good enough for progress bars and coloured tables."""

    def __init__(self):
        self.lines, self.row, self.column, self.style = [[]], 0, 0, ""

    def feed(self, text):
        for match in CONTROL.finditer(text):
            piece = match.group(0)
            if match.group(2):
                self.control(match.group(1), match.group(2))
            elif piece == "\n":
                self.move(1)
            elif piece == "\r":
                self.column = 0
            elif piece == "\b":
                self.column = max(0, self.column - 1)
            elif piece == "\t":
                self.column += 8 - self.column % 8
            elif len(piece) == 1 and piece >= " ":
                self.put(piece)

    def move(self, rows):
        self.row = max(0, self.row + rows)
        while len(self.lines) <= self.row:
            self.lines.append([])

    def put(self, char):
        if self.column >= COLUMNS:
            self.column = 0
            self.move(1)
        line = self.lines[self.row]
        line.extend([(" ", "")] * (self.column + 1 - len(line)))
        line[self.column] = (char, self.style)
        self.column += 1

    def control(self, arguments, letter):
        numbers = [int(n) for n in arguments.split(";") if n.isdigit()]
        first = numbers[0] if numbers else 0
        if letter == "A":
            self.move(-(first or 1))
        elif letter == "B":
            self.move(first or 1)
        elif letter == "C":
            self.column += first or 1
        elif letter == "D":
            self.column = max(0, self.column - (first or 1))
        elif letter == "G":
            self.column = max(0, first - 1)
        elif letter == "K":
            line = self.lines[self.row]
            if first == 2:
                line.clear()
            elif first == 0:
                del line[self.column:]
        elif letter == "J" and first == 0:
            del self.lines[self.row][self.column:]
            del self.lines[self.row + 1:]
        elif letter == "m":
            self.dye(numbers or [0])

    def dye(self, numbers):
        style = dict(part.split(":") for part in self.style.split(";") if part)
        for number in numbers:
            if number == 0:
                style = {}
            elif number == 1:
                style["font-weight"] = "bold"
            elif number == 2:
                style["opacity"] = ".6"
            elif number == 22:
                style.pop("font-weight", None)
                style.pop("opacity", None)
            elif 30 <= number <= 37 or 90 <= number <= 97:
                style["fill"] = COLOURS[number % 10]
            elif number == 39:
                style.pop("fill", None)
        self.style = ";".join(f"{key}:{value}" for key, value in style.items())

    def show(self):
        """The last lines as runs of equally styled text."""
        shown = []
        for line in self.lines[-ROWS:]:
            runs = []
            for char, style in line:
                if runs and runs[-1][1] == style:
                    runs[-1][0] += char
                else:
                    runs.append([char, style])
            shown.append(tuple((text, style) for text, style in runs))
        return tuple(shown)


def run(command):
    """Runs the command; returns its status and what the screen showed when."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(TERM="xterm-256color", COLUMNS=str(COLUMNS), LINES=str(ROWS))
        try:
            os.execvp(command[0], command)
        except OSError as error:
            print(f"recording: cannot run {command[0]}: {error}", file=sys.stderr)
            os._exit(127)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    screen, rest, begun = Screen(), b"", time.monotonic()
    frames = []
    while True:
        ready, _, _ = select.select([terminal], [], [], 0.1)
        if ready:
            try:
                data = os.read(terminal, 65536)
            except OSError:
                break
            if not data:
                break
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            # The end of a read may cut a character or an escape sequence in two: keep that tail for the next one.
            rest += data
            tail = UNFINISHED.search(rest)
            cut = tail.start() if tail else len(rest)
            screen.feed(rest[:cut].decode("utf-8", "replace"))
            rest = rest[cut:]
        now = screen.show()
        if not frames or frames[-1][1] != now:
            frames.append((time.monotonic() - begun, now))
    screen.feed(rest.decode("utf-8", "replace"))
    frames.append((time.monotonic() - begun, screen.show()))
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), frames


def thin(frames):
    """Keeps at most MOST_FRAMES, evenly, the last one always."""
    step = max(1, -(-len(frames) // MOST_FRAMES))
    return frames[:-1][::step] + [frames[-1]]


def draw(frames):
    """One group per frame; each is shown for its share of the loop, and the last one stays where nothing moves."""
    pauses = [min(LONGEST_PAUSE, max(0.1, later[0] - this[0])) for this, later in zip(frames, frames[1:])] + [LAST_PAUSE]
    whole, at, high = sum(pauses), 0.0, max(len(lines) for _, lines in frames)
    width, height = COLUMNS * 8.4 + 32, high * 18 + 28
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img" aria-label="a terminal running the demo">',
        "<style>text{font:14px ui-monospace,Menlo,Consolas,monospace;fill:#c9d1d9;white-space:pre}",
        f".f{{visibility:hidden;animation:{whole:.1f}s step-end infinite}}.last{{visibility:visible}}",
        "@media(prefers-reduced-motion){.f{animation:none!important}}",
    ]
    body = [f'</style><rect width="100%" height="100%" rx="8" fill="#0d1117"/>']
    for number, ((_, lines), pause) in enumerate(zip(frames, pauses)):
        begin, end = 100 * at / whole, 100 * (at + pause) / whole
        at += pause
        before = "0%{visibility:hidden}" if number else ""
        after = "" if number == len(frames) - 1 else f"{end:.2f}%,to{{visibility:hidden}}"
        out.append(f"@keyframes k{number}{{{before}{begin:.2f}%{{visibility:visible}}{after}}}#k{number}{{animation-name:k{number}}}")
        body.append(f'<g id="k{number}" class="f{" last" if number == len(frames) - 1 else ""}">')
        for row, runs in enumerate(lines):
            spans = "".join(
                f'<tspan style="{style}">{html.escape(text)}</tspan>' if style else html.escape(text) for text, style in runs
            )
            if spans.strip():
                body.append(f'<text x="16" y="{row * 18 + 28}">{spans}</text>')
        body.append("</g>")
    return "\n".join(out + body + ["</svg>", ""])


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    status, frames = run(sys.argv[2:])
    if status != 0:
        sys.exit(f"recording: {sys.argv[2]} ended with {status}; {sys.argv[1]} is left as it was")
    os.makedirs(os.path.dirname(sys.argv[1]) or ".", exist_ok=True)
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.write(draw(thin(frames)))
    print(f"recording: wrote {sys.argv[1]}", file=sys.stderr)


if __name__ == "__main__":
    main()
