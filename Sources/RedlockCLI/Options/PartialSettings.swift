// SPDX-License-Identifier: Apache-2.0

import RedisTransport
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
    var keyPassphrase: String?
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
            keyPassphrase: keyPassphrase ?? weaker.keyPassphrase,
            isCompatible: isCompatible ?? weaker.isCompatible,
            quorum: quorum ?? weaker.quorum,
            drift: drift ?? weaker.drift,
            keyPrefix: keyPrefix ?? weaker.keyPrefix
        )
    }
}

extension PartialSettings {
    /// What the environment says: REDLOCK_REDIS, REDLOCK_REDIS_PASSWORD and REDLOCK_TLS_KEY_PASSPHRASE.
    init(environment: [String: String]) {
        self.init()
        redis = environment["REDLOCK_REDIS"].map(Self.urls)
        password = environment["REDLOCK_REDIS_PASSWORD"].flatMap { $0.isEmpty ? nil : $0 }
        keyPassphrase = environment["REDLOCK_TLS_KEY_PASSPHRASE"].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// The URLs of a comma-separated list; blanks and empty entries say nothing.
    static func urls(in list: String) -> [String] {
        list.split(separator: ",").map(\.withoutBlankEnds).filter { !$0.isEmpty }
    }

    /// The list for those who must not know the passwords: each URL without user and password.
    ///
    /// Nil if any of them is no URL then: a comma inside a password may have torn it apart, and what is left of it is not
    /// told from the rest.
    static func listWithoutSecrets(_ list: String) -> String? {
        let urls = urls(in: list).map { RedisURLText($0).withoutUserInformation }
        return urls.allSatisfy { (try? RedisEndpoint(url: $0)) != nil } ? urls.joined(separator: ",") : nil
    }
}

extension StringProtocol {
    /// The text without blanks and line ends before and behind it.
    var withoutBlankEnds: String {
        String(drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
    }
}

extension PartialSettings {
    /// How many of the nodes must agree: a majority, unless more are asked for.
    func votesNeeded(ofNodes nodeCount: Int) -> Int { quorum ?? nodeCount / 2 + 1 }
}
