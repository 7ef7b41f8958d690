// SPDX-License-Identifier: Apache-2.0

import Hiredis
import Redlock

/// The commands that clients send word by word, in the spelling in which they send them.
extension SimulatedServer {
    func plain(_ arguments: [String]) throws(CommandError) -> RESPValue {
        switch (arguments.first, arguments.count) {
        case ("GET", 2): return try get(arguments[1])?.string.map(RESPValue.bulkText) ?? .null
        case ("TIME", 1): return try time()
        case ("INFO", 1...): return try information(of: arguments.dropFirst().first)
        case ("CONFIG", 3) where arguments[1] == "GET": return try settings(like: arguments[2])
        case ("SCRIPT", 3) where arguments[1] == "LOAD": return try load(arguments[2])
        case ("EVALSHA", 3...): return try evaluate(arguments[1])
        case ("EVAL", 3) where arguments[1] == Script.probe.text:
            try admit(.evaluate)
            try admitScript()
            return .integer(1)
        case ("SET", 3), ("SET", 5): return try setPlain(arguments)
        case ("SCAN", 6): return try scan(arguments)
        case ("SUBSCRIBE", 2):
            return .array([.bulkText("subscribe"), .bulkText(arguments[1]), .integer(1)])
        case ("PING", 1):
            try admit(.ping)
            return .simpleString("PONG")
        default:
            throw CommandError(text: "ERR unknown command '\(arguments.first ?? "")' of a simulated server")
        }
    }

    private func setPlain(_ arguments: [String]) throws(CommandError) -> RESPValue {
        var life: Int64?
        if arguments.count == 5 {
            guard arguments[3] == "PX" else { throw .syntax }
            guard case .integer(let number) = SimulatedKeys.Value(arguments[4]) else { throw .notAnInteger }
            life = number
        }
        try set(arguments[1], arguments[2], lifeMilliseconds: life)
        return .simpleString("OK")
    }

    // MARK: Scripts

    private static let knownScripts = Script.standard + Script.compatible

    private func load(_ text: String) throws(CommandError) -> RESPValue {
        try admit(.load)
        let known = Self.knownScripts.first { $0.text == text }
        let digest = known?.digest ?? SHA1.hexDigest(of: text)
        scripts[digest] = text
        return .bulkText(digest)
    }

    /// Runs a script that does nothing but answer: a text, as those do by which a server process is known again, or the one
    /// that shows whether scripts run.
    private func evaluate(_ digest: String) throws(CommandError) -> RESPValue {
        try admit(.evaluate)
        guard let text = scripts[digest] else { throw .noScript }
        try admitScript()
        if text == Script.probe.text { return .integer(1) }
        let parts = text.split(separator: "'", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "return ", parts[2].isEmpty else {
            throw CommandError(text: "ERR a simulated server runs this script only as the command of a client")
        }
        return .bulkText(String(parts[1]))
    }

    // MARK: Facts

    private func information(of section: String?) throws(CommandError) -> RESPValue {
        try admit(.information)
        if section == "commandstats" {
            let calls = flushes == 0 ? "" : "cmdstat_flushall:calls=\(flushes),usec=1\r\n"
            return .bulkText("# Commandstats\r\n" + calls)
        }
        if let information { return information }
        let lines = [
            "redis_version:\(settings.version)",
            "run_id:\(runID)",
            "maxmemory:\(settings.memoryLimitBytes)",
            "maxmemory_policy:\(settings.evictionPolicy)",
            "aof_enabled:\(settings.hasAppendOnlyFile ? 1 : 0)",
            "evicted_keys:\(evictedKeys)",
            "role:\(isReplica ? "slave" : "master")",
            "master_replid2:\(formerReplicationID)",
            "cluster_enabled:\(settings.isClusterNode ? 1 : 0)",
        ]
        let new = RESPValue.bulkText(lines.map { $0 + "\r\n" }.joined())
        information = new
        return new
    }

    /// The one question that clients ask.
    private func settings(like pattern: String) throws(CommandError) -> RESPValue {
        try admit(.configuration)
        guard pattern == "*appendfsync*" else { return .array([]) }
        let suspends = settings.suspendsFsyncDuringRewrite ? "yes" : "no"
        let names = ["no-appendfsync-on-rewrite", suspends, "appendfsync", settings.fsyncPolicy]
        return .array(names.map { .bulkText($0) })
    }

    /// SCAN cursor MATCH pattern COUNT number, which answers everything at once.
    ///
    /// The pattern is what clients ask for: the beginning of a name, in which a backslash may stand before any character.
    private func scan(_ arguments: [String]) throws(CommandError) -> RESPValue {
        try admit(.scan)
        guard arguments[1] == "0", arguments[2] == "MATCH", arguments[4] == "COUNT" else { throw .syntax }
        guard let prefix = Self.prefix(inPattern: arguments[3]) else {
            throw CommandError(text: "ERR a simulated server looks for the beginnings of names only")
        }
        let names = keys.names(beginningWith: prefix).map(RESPValue.bulkText)
        return .array([.bulkText("0"), .array(names)])
    }

    private static func prefix(inPattern pattern: String) -> String? {
        var prefix = ""
        var rest = pattern[...]
        while let character = rest.popFirst() {
            switch character {
            case "\\": prefix.append(rest.popFirst() ?? "\\")
            case "*": return rest.isEmpty ? prefix : nil
            case "?", "[": return nil
            default: prefix.append(character)
            }
        }
        return nil
    }
}
