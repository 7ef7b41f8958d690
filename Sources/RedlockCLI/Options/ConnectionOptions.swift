// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Redlock

/// Which servers, and how to reach them.
struct ConnectionOptions: ParsableArguments {
    @Option(
        name: .long,
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "A Redis server; give it once per node.",
            discussion: """
                redis://host:port, rediss:// for TLS, or redis+unix:///path. Without it: REDLOCK_REDIS (comma \
                separated), then the configuration file, then redis://127.0.0.1:6379.
                """,
            valueName: "url"
        )
    )
    var redis: [String] = []

    @Option(
        name: .long,
        parsing: .unconditional,
        help: ArgumentHelp("A JSON file with options (see `redlock --help`).", valueName: "file"),
        completion: .file(extensions: ["json"])
    )
    var config: String?

    @Option(
        name: .long,
        parsing: .unconditional,
        help: ArgumentHelp("How long to wait for each reply of a node. (default: 100ms)", valueName: "duration"),
        transform: DurationArgument.option
    )
    var nodeTimeout: Duration?

    @Option(
        name: .customLong("max-ttl"),
        parsing: .unconditional,
        help: ArgumentHelp(
            "The longest TTL that --ttl may ask for; the same for all who use these servers. (default: 30s)",
            valueName: "duration"
        ),
        transform: DurationArgument.option
    )
    var maximumTTL: Duration?

    @Option(
        name: .long,
        parsing: .unconditional,
        help: ArgumentHelp(
            "How many nodes must agree. (default: a majority, which is the least)",
            discussion: "More survive nodes that forget what they granted, and fewer nodes may fail.",
            valueName: "count"
        ),
        transform: quorumOption
    )
    var quorum: Int?

    @Option(
        name: .long,
        parsing: .unconditional,
        help: ArgumentHelp(
            "How far clocks may run apart: standard (1%), strict (16%) or a percentage. (default: standard)",
            discussion: "Strict is enough where chrony slews with its defaults.",
            valueName: "drift"
        ),
        transform: DriftArgument.option
    )
    var drift: DriftProfile?

    @Option(
        name: .long,
        parsing: .unconditional,
        help: ArgumentHelp(
            "What the keys begin with. (default: redlock:)",
            discussion: "Locks under different prefixes have nothing to do with each other.",
            valueName: "text"
        )
    )
    var prefix: String?

    @Option(
        name: .customLong("tls-ca"),
        parsing: .unconditional,
        help: ArgumentHelp("PEM file with the authorities to trust, instead of the system's.", valueName: "file"),
        completion: .file()
    )
    var authorityFile: String?

    @Option(
        name: .customLong("tls-certificate"),
        parsing: .unconditional,
        help: ArgumentHelp("PEM file with the certificate to present.", valueName: "file"),
        completion: .file()
    )
    var certificateFile: String?

    @Option(
        name: .customLong("tls-key"),
        parsing: .unconditional,
        help: ArgumentHelp("PEM file with the key of that certificate.", valueName: "file"),
        completion: .file()
    )
    var keyFile: String?

    /// What these options say, for `Settings`.
    var partialSettings: PartialSettings {
        PartialSettings(
            redis: redis.isEmpty ? nil : redis,
            nodeTimeout: nodeTimeout,
            maximumTTL: maximumTTL,
            authorityFile: authorityFile,
            certificateFile: certificateFile,
            keyFile: keyFile,
            quorum: quorum,
            drift: drift,
            keyPrefix: prefix
        )
    }
}

/// How much is told, and in which form.
struct OutputOptions: ParsableArguments {
    @Flag(name: .shortAndLong, help: "Tell what happens, on standard error.")
    var verbose = false

    @Flag(name: .shortAndLong, help: "Tell nothing but errors.")
    var quiet = false

    @Flag(name: .long, help: "Write JSON, one object per line.")
    var json = false

    func validate() throws {
        guard !(verbose && quiet) else { throw ValidationError("--verbose and --quiet exclude each other") }
    }

    func reporter(resource: String?) -> Reporter {
        Reporter(verbosity: quiet ? .quiet : verbose ? .verbose : .normal, usesJSON: json, resource: resource)
    }
}

/// How long to wait for a lock, and who says to wait.
struct WaitingOptions: ParsableArguments {
    @Option(
        name: [.customShort("w"), .customLong("wait")],
        parsing: .unconditional,
        help: ArgumentHelp(
            "Give up after this time; 0 tries once. (default: wait for ever)",
            valueName: "duration"
        ),
        transform: DurationArgument.option
    )
    var wait: Duration?

    @Flag(name: [.customShort("n"), .customLong("no-wait")], help: "Try once, as --wait 0.")
    var noWait = false

    @Option(
        name: [.customShort("E"), .customLong("conflict-exit-code")],
        parsing: .unconditional,
        help: ArgumentHelp("Exit code when the lock is not obtained. (default: 1)", valueName: "code"),
        transform: exitCodeOption
    )
    var conflictExitCode: Int32?

    @Option(
        name: .long,
        parsing: .unconditional,
        help: ArgumentHelp("Who holds the lock, for people. (default: user@host:pid)", valueName: "text")
    )
    var label: String?

    @Option(
        name: .long,
        parsing: .unconditional,
        help: ArgumentHelp(
            "What else `redlock status` and `list` tell people; at most 256 bytes. (default: nothing)",
            valueName: "text"
        )
    )
    var note: String?

    func validate() throws {
        guard !(noWait && wait != nil) else { throw ValidationError("--wait and --no-wait exclude each other") }
    }

    var partialSettings: PartialSettings {
        PartialSettings(
            wait: noWait ? .zero : wait,
            conflictExitCode: conflictExitCode,
            label: label,
            note: note
        )
    }
}
