// SPDX-License-Identifier: Apache-2.0

import Foundation
import Redlock

/// The environment of the command: the own one, without users and passwords of Redis, with what the command may know of its lock.
///
/// Entries are bytes, not strings: a variable that is no UTF-8 must reach the command unchanged.
enum ChildEnvironment {
    /// Variables that hold a password, or the secret of a lock.
    private static let removed: Set<String> = [
        "REDLOCK_REDIS_PASSWORD", "REDISCLI_AUTH", "REDLOCK_TOKEN", "REDLOCK_TLS_KEY_PASSPHRASE",
    ]

    /// - Parameters:
    ///   - names: what is locked; several are separated by line feeds, which no name has.
    ///   - deadlineMilliseconds: Unix time by which the hold ends, if it is bounded.
    static func entries(
        inherited: [[UInt8]],
        names: [String],
        _ grant: Grant,
        deadlineMilliseconds: Int64?
    ) -> [[UInt8]] {
        var added = [("REDLOCK_NAME", names.joined(separator: "\n")), ("REDLOCK_OWNER", grant.ownerLabel)]
        added.append((OuterLocks.variable, heldNames(inherited, names).joined(separator: "\n")))
        if let fencingToken = grant.fencingToken { added.append(("REDLOCK_FENCING_TOKEN", fencingToken.description)) }
        if let slot = grant.slot { added.append(("REDLOCK_SLOT", String(slot))) }
        if let deadlineMilliseconds { added.append(("REDLOCK_DEADLINE_MS", String(deadlineMilliseconds))) }
        // An inherited token or deadline is that of an outer lock: it would be taken for this one's.
        let replaced = removed.union([
            "REDLOCK_NAME", "REDLOCK_OWNER", "REDLOCK_FENCING_TOKEN", "REDLOCK_SLOT", "REDLOCK_DEADLINE_MS",
            OuterLocks.variable,
        ])
        let kept = inherited.compactMap { entry -> [UInt8]? in
            let name = String(decoding: entry.prefix { $0 != UInt8(ascii: "=") }, as: UTF8.self)
            guard !replaced.contains(name) else { return nil }
            return name == "REDLOCK_REDIS" ? withoutUserInformation(entry) : entry
        }
        return kept + added.map { Array("\($0.0)=\($0.1)".utf8) }
    }

    /// The names of outer locks, which are held as long as the command runs, and of this one.
    private static func heldNames(_ inherited: [[UInt8]], _ names: [String]) -> [String] {
        let opening = Array("\(OuterLocks.variable)=".utf8)
        let outer = inherited.first { $0.starts(with: opening) }?.dropFirst(opening.count) ?? []
        let outerNames = String(decoding: outer, as: UTF8.self).split(separator: "\n").map(String.init)
        return outerNames.filter { !names.contains($0) } + names
    }

    private static func withoutUserInformation(_ entry: [UInt8]) -> [UInt8]? {
        let text = String(decoding: entry, as: UTF8.self)
        let list = PartialSettings.listWithoutSecrets(String(text.drop { $0 != "=" }.dropFirst()))
        return list.map { Array("REDLOCK_REDIS=\($0)".utf8) }
    }
}
