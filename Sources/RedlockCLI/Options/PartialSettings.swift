// SPDX-License-Identifier: Apache-2.0

import Redlock

/// Settings of one origin (options, environment or file); nil where it says nothing.
struct PartialSettings: Equatable, Sendable {
    var redis: [String]?
    var password: String?
    var ttl: Duration?
    var wait: Duration?
    var conflictExitCode: Int32?
    var signal: SignalName?
    var killAfter: Duration?
    var maximumHold: Duration?
    var minimumHold: Duration?
    var recordedGrants: Int?
    var label: String?
    var note: String?
    var nodeTimeout: Duration?
    var maximumTTL: Duration?
    var authorityFile: String?
    var certificateFile: String?
    var keyFile: String?
    var isCompatible: Bool?
    var quorum: Int?
    var drift: DriftProfile?
    var keyPrefix: String?

    /// These settings, with those of a weaker origin where these say nothing.
    func or(_ weaker: PartialSettings) -> PartialSettings {
        PartialSettings(
            redis: redis ?? weaker.redis,
            password: password ?? weaker.password,
            ttl: ttl ?? weaker.ttl,
            wait: wait ?? weaker.wait,
            conflictExitCode: conflictExitCode ?? weaker.conflictExitCode,
            signal: signal ?? weaker.signal,
            killAfter: killAfter ?? weaker.killAfter,
            maximumHold: maximumHold ?? weaker.maximumHold,
            minimumHold: minimumHold ?? weaker.minimumHold,
            recordedGrants: recordedGrants ?? weaker.recordedGrants,
            label: label ?? weaker.label,
            note: note ?? weaker.note,
            nodeTimeout: nodeTimeout ?? weaker.nodeTimeout,
            maximumTTL: maximumTTL ?? weaker.maximumTTL,
            authorityFile: authorityFile ?? weaker.authorityFile,
            certificateFile: certificateFile ?? weaker.certificateFile,
            keyFile: keyFile ?? weaker.keyFile,
            isCompatible: isCompatible ?? weaker.isCompatible,
            quorum: quorum ?? weaker.quorum,
            drift: drift ?? weaker.drift,
            keyPrefix: keyPrefix ?? weaker.keyPrefix
        )
    }
}

extension PartialSettings {
    /// What the environment says: REDLOCK_REDIS and REDLOCK_REDIS_PASSWORD.
    init(environment: [String: String]) {
        self.init()
        redis = environment["REDLOCK_REDIS"].map(Self.urls)
        password = environment["REDLOCK_REDIS_PASSWORD"].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// The URLs of a comma-separated list; blanks and empty entries say nothing.
    static func urls(in list: String) -> [String] {
        list.split(separator: ",").map { $0.trimmingPrefix { $0.isWhitespace } }
            .map { String($0.reversed().drop { $0.isWhitespace }.reversed()) }
            .filter { !$0.isEmpty }
    }
}

extension PartialSettings {
    /// How many of the nodes must agree: a majority, unless more are asked for.
    func votesNeeded(ofNodes nodeCount: Int) -> Int { quorum ?? nodeCount / 2 + 1 }
}
