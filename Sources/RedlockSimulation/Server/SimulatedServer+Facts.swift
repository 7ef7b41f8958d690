// SPDX-License-Identifier: Apache-2.0

/// The commands by which a server tells of itself and of its keys.
extension SimulatedServer {
    func information(_ words: Words) -> Reply {
        if words.count > 1, words.text(1) == "commandstats" {
            let calls = flushes == 0 ? "" : "cmdstat_flushall:calls=\(flushes),usec=1\r\n"
            return .text("# Commandstats\r\n" + calls)
        }
        if let information { return .text(information) }
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
        let new = lines.map { $0 + "\r\n" }.joined()
        information = new
        return .text(new)
    }

    /// CONFIG GET with the one question that clients ask.
    func configuration(_ words: Words) -> Reply {
        guard words.text(2) == "*appendfsync*" else { return .array([]) }
        let suspends = settings.suspendsFsyncDuringRewrite ? "yes" : "no"
        let names = ["no-appendfsync-on-rewrite", suspends, "appendfsync", settings.fsyncPolicy]
        return .array(names.map { .text($0) })
    }

    /// SCAN cursor MATCH pattern COUNT number, which answers everything at once.
    ///
    /// The pattern is what clients ask for: the beginning of a name, in which a backslash may stand before any character.
    func scan(_ words: Words) throws(CommandError) -> Reply {
        guard words.count == 6, words.text(1) == "0", words.isOption("MATCH", at: 2), words.isOption("COUNT", at: 4)
        else {
            throw .syntax
        }
        guard let prefix = Self.prefix(inPattern: words.text(3)) else {
            throw CommandError(text: "ERR a simulated server looks for the beginnings of names only")
        }
        return .array([.text("0"), .array(keys.names(beginningWith: prefix).map(Reply.text))])
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
