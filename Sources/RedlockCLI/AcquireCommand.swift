// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Redlock

/// `redlock acquire`: takes a lock and leaves it.
struct AcquireCommand: ResourceCommand {
    static let configuration = CommandConfiguration(
        commandName: "acquire",
        abstract: "Take a lock and print its owner token, for scripts.",
        discussion: """
            Nothing renews the lock: it lives for --ttl, unless `redlock extend` prolongs or `redlock release` ends it. \
            Both need the owner token, which is secret: keep it out of arguments and logs. Prefer `redlock run`, which \
            renews, releases, and stops the work when the lock is lost.

            With --json prints {"name", "token", "fencingToken", "validityMilliseconds", "owner"}. "token" is the secret \
            owner token; "fencingToken" is the number of this grant, for stores to compare, null with --compatible and \
            --shared. What was taken with --shared is extended and released with --shared.

            EXAMPLES
              REDLOCK_TOKEN=$(redlock acquire batch --ttl 30s) || exit
              export REDLOCK_TOKEN
              redlock extend batch --ttl 30s
              redlock release batch
            """
    )

    /// By default as long as the servers' users allow: nothing renews it.
    static func ttl(_ settings: PartialSettings) -> Duration {
        settings.ttl ?? min(.seconds(30), settings.maximumTTL ?? .seconds(30))
    }

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var profile: ProfileOptions
    @OptionGroup var mode: ModeOptions
    @OptionGroup var waiting: WaitingOptions
    @OptionGroup var output: OutputOptions

    @Option(
        name: .long,
        parsing: .unconditional,
        help: ArgumentHelp("How long the lock lives. (default: 30s)", valueName: "duration"),
        transform: DurationArgument.option
    )
    var ttl: Duration?

    @Argument(help: ArgumentHelp("What to lock.", valueName: "name"))
    var name: String

    var names: [String] { [name] }

    func run() throws {
        var options = connection.partialSettings.or(profile.partialSettings).or(waiting.partialSettings)
        options.ttl = ttl
        let (complete, path, name, printsJSON) = (options, connection.config, name, output.json)
        let (reporter, notice, mode) = (output.reporter(resource: name), WaitingNotice(output), mode)
        try InterruptibleOperation.run {
            let settings = try await Settings.resolve(options: complete, configurationPath: path)
            let sharing = try mode.sharingClient(settings, for: "acquire", reporter)
            let client = try sharing ?? settings.makeClient(reporter)
            let noticeTask = notice.map { notice in
                // Unstructured: it ends with the waiting, which is not the end of this function.
                Task { await notice.tell(LockWish(names: [name]), client) { reporter.reportWaiting(for: $0) } }
            }
            defer { noticeTask?.cancel() }
            let options = Self.options(settings)
            let wish = LockWish(names: [name], isShared: sharing != nil)
            try await settings.finishing(client) {
                try await OuterLocks().guarding(wish, client) { _ in
                    if let sharing {
                        try await Self.acquire(reporter, printsJSON: printsJSON) {
                            try await sharing.acquire(name, mode: .shared, options: options)
                        }
                    } else {
                        try await Self.acquire(name, client, options, reporter, printsJSON: printsJSON)
                    }
                }
            }
            return ExitStatus.success
        }
    }

    private static func options(_ settings: Settings) -> LockOptions {
        LockOptions(
            ttl: ttl(settings.values),
            wait: WaitPolicy(settings.values.wait),
            label: settings.values.label ?? LockOptions.defaultLabel,
            note: settings.values.note
        )
    }

    private static func acquire(
        _ name: String,
        _ client: some LockClient,
        _ options: LockOptions,
        _ reporter: Reporter,
        printsJSON: Bool
    ) async throws {
        try await acquire(reporter, printsJSON: printsJSON) {
            try await client.acquire(name, options: options)
        }
    }

    private static func acquire<Kind>(
        _ reporter: Reporter,
        printsJSON: Bool,
        _ acquire: () async throws -> Lease<Kind>
    ) async throws {
        let start = ContinuousClock.now
        let lease = try await acquire()
        reporter.report(
            .acquired(
                owner: lease.ownerLabel,
                fencingToken: lease.token,
                slot: nil,
                waited: .now - start,
                validity: lease.remaining
            )
        )
        guard StandardOutput.write(text(for: lease, asJSON: printsJSON)) else {
            // Nobody has the token, so nobody could release it.
            await lease.release()
            reporter.reportUnlessConfirmed(lease.releaseOutcome)
            throw CommandFailure(exitCode: ExitStatus.systemError, "the owner token could not be written")
        }
        // It belongs to whoever reads the token now.
        await lease.detach()
    }

    private static func text(for lease: Lease<some LeaseFencing>, asJSON: Bool) -> String {
        guard asJSON else {
            return isatty(STDOUT_FILENO) == 1
                ? OwnerTokenInput.visible(lease.ownerToken) : lease.ownerToken.secretText
        }
        return JSONLine.object([
            ("name", .string(lease.resource)),
            ("token", .string(lease.ownerToken.secretText)),
            ("fencingToken", .token(lease.token)),
            ("validityMilliseconds", .integer(lease.remaining.wholeMilliseconds)),
            ("owner", .string(lease.ownerLabel)),
        ]).text
    }
}

extension Settings {
    /// With the environment of this process.
    static func resolve(options: PartialSettings, configurationPath: String?) async throws -> Settings {
        try await resolve(
            options: options,
            configurationPath: configurationPath,
            environment: ProcessInfo.processInfo.environment
        )
    }
}
