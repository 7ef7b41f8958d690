// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import Testing

/// `redlock run` in an interactive shell, on a terminal of its own (made by Python's pty module).
@Suite(.timeLimit(.minutes(2)))
struct TerminalTests {
    /// Types into an interactive bash and waits for the expected text after each line; 0 if all of it came.
    private static let player = """
        import json, os, pty, re, select, signal, sys, time
        steps = json.loads(sys.argv[1])
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        shell, terminal = pty.fork()
        if shell == 0:
            os.environ["PS1"] = "ready> "
            os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
        seen = ""
        def read_until(pattern):
            global seen
            end = time.time() + 15
            while not re.search(pattern, seen):
                if time.time() > end: return False
                if select.select([terminal], [], [], 0.1)[0]:
                    try: seen += os.read(terminal, 4096).decode(errors="replace")
                    except OSError: return False
            seen = re.split(pattern, seen, 1)[-1]
            return True
        read_until("ready> ")
        code = 0
        for text, pattern in steps:
            before = seen
            time.sleep(0.1)
            os.write(terminal, text.encode())
            if not read_until(pattern):
                print("after", repr(text), "expected", pattern, "but saw", repr(seen))
                code = 1
                break
        os.kill(shell, signal.SIGKILL)
        os.close(terminal)
        os.waitpid(shell, 0)
        sys.exit(code)
        """

    private static func play(_ steps: [[String]]) async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let text = String(decoding: try JSONEncoder().encode(steps), as: UTF8.self)
            // Run by redlock itself for the sake of the helper that starts and waits; the lock is another one.
            let result = try await Executable.run(
                ["run", "player", "--", "python3", "-c", player, text],
                redis: redis.urls
            )
            #expect(result.exitCode == 0, "\(result.output)\(result.errors)")
        }
    }

    private static func run(_ rest: String) -> String { "\(Executable.path) run -v a \(rest)" }

    @Test
    func theCommandIsInTheForegroundAndTheShellIsAfterwards() async throws {
        let program = "import os; print(\"foreground\", os.tcgetpgrp(0) == os.getpgrp() == os.getpid())"
        try await Self.play([
            [Self.run("-- python3 -c '\(program)'; echo code $?\n"), "foreground True[^$]*code 0"],
            ["echo still $((40+2))\n", "still 42"],
            [Self.run("-- nonexistent; echo code $?\n"), "code 127"],
            ["read line; echo got $line\n", "\n"], ["hello\n", "got hello"],
        ])
    }

    @Test
    func forceAsksFirst() async throws {
        let (command, question) = ("\(Executable.path) release --force b; echo code $?\n", "Take it away. .y/N. ")
        try await Self.play([
            ["\(Executable.path) acquire b >/dev/null; echo code $?\n", "code 0"],
            [command, question], ["\n", "you did not say yes[^$]*code 1"],
            [command, question], ["y\n", "code 0"],
            [command, "not held by a quorum[^$]*code 1"],
        ])
    }

    @Test
    func interruptReachesTheCommandOnly() async throws {
        try await Self.play([
            [
                Self.run("-c 'trap \"echo caught; exit 9\" INT; echo up; while :; do sleep 0.1; done'; echo code $?\n"),
                "\nup",
            ],
            ["\u{3}", "caught[^$]*code 9"],
            [Self.run("-- sleep 60; echo code $?\n"), "acquired"], ["\u{3}", "code 130"],
        ])
    }

    @Test
    func stopAndContinueAreMirrored() async throws {
        try await Self.play([
            [Self.run("-- cat\n"), "acquired"], ["one\n", "one\r\none"],
            ["\u{1A}", "Stopped"], ["jobs\n", "Stopped.*redlock"], ["fg\n", "redlock run"], ["two\n", "two\r\ntwo"],
            ["\u{4}", "released"], ["echo still $((40+2))\n", "still 42"],
        ])
    }

    @Test
    func aScriptStopsAsAWhole() async throws {
        try await Self.play([
            ["bash -c '\(Self.run("-- cat")); echo inner $?'\n", "acquired"], ["\u{1A}", "Stopped"],
            ["fg\n", "redlock run"], ["two\n", "two\r\ntwo"], ["\u{4}", "inner 0"],
            ["echo still $((40+2))\n", "still 42"],
        ])
    }

    @Test
    func aLockLostWhileStoppedKillsTheCommandOnContinue() async throws {
        try await Self.play([
            ["\(Executable.path) run --ttl 1s b -- cat\n", "\n"], ["one\n", "one\r\none"], ["\u{1A}", "Stopped"],
            ["sleep 1.5; fg\n", "lost and the command was stopped"],
            ["echo code $?\n", "code 75"],
        ])
    }

    @Test
    func inTheBackgroundItTakesTheTerminalOnlyWhenBroughtForward() async throws {
        try await Self.play([
            [Self.run("-c 'read line; echo got $line' &\n"), "acquired"], ["echo still $((40+2))\n", "still 42"],
            ["fg\n", "redlock run"], ["hello\n", "got hello"], ["echo still $((40+2))\n", "still 42"],
        ])
    }

    @Test
    func aPipelineKeepsTheTerminalUntilTheCommandNeedsIt() async throws {
        try await Self.play([
            [Self.run("-c 'read line; echo got $line' | cat\n"), "acquired"], ["hello\n", "got hello"],
            ["echo still $((40+2))\n", "still 42"],
            ["sleep 60 | \(Self.run("-- cat"))\n", "acquired"], ["\u{1A}", "Stopped"], ["fg\n", "redlock run"],
            ["\u{3}", "released"], ["echo still $((40+2))\n", "still 42"],
        ])
    }

    @Test
    func theModesOfTheTerminalAreRestoredAfterAKill() async throws {
        try await Self.play([
            [
                "\(Executable.path) run --max-hold 1s b -c 'stty raw -echo; trap \"\" TERM; sleep 60'; stty -a\n",
                "maximum hold of 1s ended[^$]*[^-]icanon",
            ],
            ["echo still $((40+2))\n", "still 42"],
        ])
    }

    @Test
    func theDoctorIsColouredOnATerminalUnlessToldOtherwise() async throws {
        try await Self.play([
            [
                "export TERM=xterm; unset NO_COLOR; \(Executable.path) doctor\n",
                "\u{1B}\\[32mvote counts[^$]*3 of 3 votes",
            ],
            ["NO_COLOR=1 \(Executable.path) doctor\n", "  vote counts\r\n[^\u{1B}]*3 of 3 votes"],
            ["TERM=dumb \(Executable.path) doctor\n", "  vote counts\r\n[^\u{1B}]*3 of 3 votes"],
        ])
    }

    @Test
    func aPersonWhoWaitsForVotesSeesItSoon() async throws {
        try await Self.play([
            [
                "\(Executable.path) init --prefix p: --update --max-ttl 1s; "
                    + "\(Executable.path) run --prefix p: --max-ttl 1s a -- echo do''ne\n",
                "only 0 of 3 votes count, 2 are needed[^$]*in quarantine[^$]*done",
            ]
        ])
    }
}
