// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Redlock

/// `redlock release`: ends a lock that `redlock acquire` took, or anybody's by force.
struct ReleaseCommand: ResourceCommand {
    static let configuration = CommandConfiguration(
        commandName: "release",
        abstract: "Release a lock that `redlock acquire` took, or any by force.",
        discussion: """
            The owner token comes from REDLOCK_TOKEN or standard input. Exit code 1 says that the lock was not held any \
            more; a lock of somebody else is never touched. With --json prints {"name", "released"}.

            With --force no token is needed: the lock is taken away from whoever holds it, for a holder that hangs or is \
            gone, alone or together with others. If standard input is a terminal, it asks first. The holder is not stopped: it finds out at its next \
            renewal, and may still be at work when the next one begins. Every later holder has a higher fencing token. Keys \
            that fewer nodes than a quorum have are deleted as well; exit code 1 says that no quorum had it. Not with \
            --compatible. Data of others in place of the lock, which is no lock, is deleted as well.

            EXAMPLES
              REDLOCK_TOKEN=$TOKEN redlock release batch
              redlock release batch < token-file
              redlock release --force batch
            """
    )

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var profile: ProfileOptions
    @OptionGroup var mode: ModeOptions
    @OptionGroup var output: OutputOptions

    @Flag(help: "Take the lock away from whoever holds it; asks first on a terminal.")
    var force = false

    @Option(
        name: .long,
        parsing: .unconditional,
        help: ArgumentHelp("With --force: this slot of NAME, from 0.", valueName: "number")
    )
    var slot: Int?

    func validate() throws {
        guard slot == nil || force else { throw ValidationError("--slot goes with --force") }
    }

    @Argument(help: ArgumentHelp("What is locked.", valueName: "name"))
    var name: String

    var names: [String] { [name] }

    func run() throws {
        let options = connection.partialSettings.or(profile.partialSettings)
        let (path, name, printsJSON, isForced) = (connection.config, name, output.json, force)
        let (reporter, mode, slot) = (output.reporter(resource: name), mode, slot)
        try InterruptibleOperation.run {
            let token = isForced ? nil : try OwnerTokenInput.read(reporter)
            let settings = try await Settings.resolve(options: options, configurationPath: path)
            let wasHeld: Bool
            if let token, let client = try mode.sharingClient(settings, for: "release", reporter) {
                wasHeld = try await settings.finishing(client) {
                    try await client.release(name, mode: .shared, ownerToken: token)
                }
            } else if let token {
                let client = try settings.makeClient(reporter)
                wasHeld = try await settings.finishing(client) {
                    try await client.release(name, ownerToken: token)
                }
            } else {
                let client = try settings.makeStandardClient(for: "release --force", reporter)
                let status = try await settings.calling {
                    if let slot { return try await client.inspect(name, slot: slot) }
                    return try await client.inspect(name)
                }
                if !status.isFree {
                    let isWanted = Confirmation.given(for: Self.question(status))
                    try Task.checkCancellation()
                    guard isWanted else {
                        throw CommandFailure(exitCode: ExitStatus.conflict, "not released: you did not say yes")
                    }
                }
                wasHeld = try await settings.finishing(client) { try await client.releaseByForce(status) }
            }
            if printsJSON {
                let line = JSONLine.object([("name", .string(name)), ("released", .boolean(wasHeld))])
                try StandardOutput.writeResult(line.text)
            }
            guard wasHeld else {
                let message =
                    isForced
                    ? "\"\(name)\" was not held by a quorum"
                    : "\"\(name)\" was not held with this owner token any more" + mode.hint
                throw CommandFailure(exitCode: ExitStatus.conflict, message)
            }
            return ExitStatus.success
        }
    }

    private static func question(_ status: LockStatus) -> String {
        if status.isNotALock { return "\"\(status.title)\" is \(StatusText.notALockText(status)). Delete it?" }
        let holders = ([status.holder].compactMap { $0 } + status.sharers).map { HolderText($0, at: Date()).present }
        let holder = holders.isEmpty ? "somebody, though by no quorum" : holders.joined(separator: ", and by ")
        return "\"\(status.title)\" is held by \(holder), who may still be at work. Take it away?"
    }
}

extension LockStatus {
    /// Whether every node says so that says anything, and nothing could be taken away.
    fileprivate var isFree: Bool {
        isQuorumReachable
            && !nodes.contains { node in
                switch node.state {
                case .held, .shared, .notALock: true
                case .free, .unavailable: false
                }
            }
    }
}
