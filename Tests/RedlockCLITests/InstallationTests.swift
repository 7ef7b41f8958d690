// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// What `make install` installs, made from the command that was built with the tests.
@Suite(.timeLimit(.minutes(2)))
struct InstallationTests {
    private static let script = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: ".scripts/install").path

    /// Runs the body with a folder that is removed at the end.
    private func withFolder(_ body: (URL) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "redlock-install-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try await body(folder)
    }

    private func install(_ arguments: String...) async throws {
        let environment = Executable.environment([], ["DESTDIR": ""])
        let result = try await Executable.Running(program: Self.script, arguments, environment: environment).result()
        try #require(result.exitCode == 0, "\(result.errors)")
    }

    private func files(below folder: URL) -> [String] {
        let enumerator = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: [.isRegularFileKey])
        return (enumerator?.compactMap { $0 as? URL } ?? [])
            .filter { (try? $0.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile) == true }.map(\.path)
    }

    @Test
    func theCommandRunsFromItsPlaceWithCompletionsAndManualAndAllIsRemoved() async throws {
        try await withFolder { folder in
            try await install(Executable.path, folder.path)
            let installed = Executable.environment()
            let command = folder.appending(path: "bin/redlock").path
            let version = try await Executable.Running(program: command, ["--version"], environment: installed).result()
            let built = try await Executable.run(["--version"])
            #expect(version.exitCode == 0 && version.output == built.output)
            for (path, content) in [
                ("bash-completion/completions/redlock", "complete"),
                ("zsh/site-functions/_redlock", "#compdef redlock"),
                ("fish/vendor_completions.d/redlock.fish", "complete"), ("man/man1/redlock-run.1", ".TH"),
            ] {
                let text = try String(
                    contentsOf: folder.appending(path: "share").appending(path: path),
                    encoding: .utf8
                )
                #expect(text.contains(content), "\(path)")
            }
            let others = folder.appending(path: "share/man/man1/other.1")
            try "not ours".write(to: others, atomically: true, encoding: .utf8)
            try await install("--remove", folder.path)
            #expect(files(below: folder) == [others.path])
        }
    }

    /// A command with its options, as the command tells them itself.
    private struct Command: Decodable {
        struct Argument: Decodable {
            struct Name: Decodable {
                let kind: String
                let name: String
            }
            let names: [Name]?
            let shouldDisplay: Bool
        }
        let commandName: String
        let arguments: [Argument]?
        let subcommands: [Command]?

        /// The names of its long options that are shown.
        var longOptions: [String] {
            (arguments ?? []).filter(\.shouldDisplay).flatMap { $0.names ?? [] }.filter { $0.kind == "long" }
                .map(\.name)
        }
    }

    private struct Dump: Decodable {
        let command: Command
    }

    @Test
    func theManualHasEverySubcommandAndEveryLongOption() async throws {
        let dump = try await Executable.run(["--experimental-dump-help"])
        let root = try JSONDecoder().decode(Dump.self, from: Data(dump.output.utf8)).command
        let commands = (root.subcommands ?? []).filter { $0.commandName != "help" }
        #expect(commands.contains { $0.commandName == "run" && $0.longOptions.contains("wait") })
        try await withFolder { folder in
            try await install(Executable.path, folder.path)
            func page(_ name: String) throws -> String {
                try String(contentsOf: folder.appending(path: "share/man/man1/\(name).1"), encoding: .utf8)
            }
            func names(_ option: String, in page: String) -> Bool {
                let written = "--\(option)".replacing("-", with: "\\-")
                // As a term of its own: --ttl does not stand in --max-ttl or --ttl-of-another.
                return page.split(separator: "\n").contains { $0.contains("\\fB\(written)\\fR") }
            }
            let overview = try page("redlock")
            for section in ["NAME", "SYNOPSIS", "ENVIRONMENT", "FILES", "EXIT STATUS", "EXAMPLES"] {
                #expect(overview.contains(".SH \"\(section)\""))
            }
            for command in commands {
                let text = try page("redlock-\(command.commandName)")
                #expect(overview.contains("redlock\\-\(command.commandName)"))
                for option in command.longOptions {
                    #expect(names(option, in: text), "\(command.commandName) \(option)")
                }
                for nested in command.subcommands ?? [] where nested.commandName != "help" {
                    #expect(text.contains(".SS \"\(nested.commandName)\""))
                    for option in nested.longOptions {
                        #expect(names(option, in: text), "\(nested.commandName) \(option)")
                    }
                }
            }
            // The search finds nothing where there is nothing.
            let run = try page("redlock-run")
            #expect(!names("nodes", in: run) && !names("tt", in: run))
            // The lines of examples stay apart.
            let examples = try #require(run.components(separatedBy: ".SH \"EXAMPLES\"").last)
            #expect(examples.contains(".EX") && examples.contains("\nredlock run \\-n deploy \\-\\- make deploy"))
        }
    }
}
