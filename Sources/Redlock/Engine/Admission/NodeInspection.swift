// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import RedisTransport

/// What a node is asked before its votes count, on every new connection and now and then.
struct NodeInspection {
    let facts: ServerFacts
    /// What the server refused to tell, and why.
    let unanswered: [Question: Explanation]
    /// The text at the place of the record; nil if there is none.
    let record: String?
    /// The server's clock; nil if the user may not ask for it.
    let serverMicroseconds: Int64?

    /// The questions, in the order of the answers.
    ///
    /// Users may lack the right to INFO and CONFIG. One pattern asks for both settings that decide when the server syncs.
    static func commands(recordKey: String) -> [[String]] {
        [
            ["INFO"],
            ["CONFIG", "GET", "*appendfsync*"],
            ["GET", recordKey],
            ["TIME"],
        ]
    }

    /// How many questions there are.
    static let commandCount = 4

    /// What the answers say.
    ///
    /// - Throws: `NodeFailure` if not even the record can be read, of a server that could have one.
    init(replies: [RESPValue]) throws(NodeFailure) {
        var facts = replies[0].string.map(Self.facts(inInfo:)) ?? ServerFacts()
        facts.fsyncPolicy = Self.setting("appendfsync", in: replies[1])
        facts.suspendsFsyncDuringRewrite = Self.setting("no-appendfsync-on-rewrite", in: replies[1]).map { $0 == "yes" }
        if replies[2].isFromClusterNode { facts.isClusterNode = true }
        self.facts = facts
        var unanswered: [Question: Explanation] = [:]
        if replies[0].string == nil { unanswered[.information] = Question.information.refused(with: replies[0]) }
        if replies[1].array == nil { unanswered[.settings] = Question.settings.refused(with: replies[1]) }
        if replies[3].serverMicroseconds == nil { unanswered[.time] = Question.time.refused(with: replies[3]) }
        self.unanswered = unanswered
        switch replies[2] {
        case .null: record = nil
        case .bulkString(let bytes): record = String(decoding: bytes, as: UTF8.self)
        // No text at all is no record either.
        case .error(let text) where text.hasPrefix("WRONGTYPE"): record = ""
        // There can be none, and what the server is tells more than how it says so.
        case _ where AdmissionJudgement.refusal(of: facts)?.isKindOfServer == true: record = nil
        default:
            throw NodeFailure(.permission, "its record cannot be read: \(replies[2].problem.printable())")
        }
        serverMicroseconds = replies[3].serverMicroseconds
    }

    /// The value of one setting in an answer to CONFIG GET; nil if the user may not ask.
    ///
    /// The answer names each setting before its value, in no certain order.
    private static func setting(_ name: String, in reply: RESPValue) -> String? {
        guard case .array(let parts) = reply else { return nil }
        let place = stride(from: 0, to: parts.count - 1, by: 2).first { parts[$0].string == name }
        return place.flatMap { parts[$0 + 1].string }
    }

    /// What INFO says of the server; see https://redis.io/docs/latest/commands/info/.
    static func facts(inInfo text: String) -> ServerFacts {
        var facts = ServerFacts()
        var (name, versions) = (String?.none, [String: String]())
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let line = rest.prefix { $0 != UInt8(ascii: "\n") }
            rest = rest[line.endIndex...].dropFirst()
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
            let end = line.last == UInt8(ascii: "\r") ? line.endIndex - 1 : line.endIndex
            let value = String(decoding: line[(colon + 1)..<end], as: UTF8.self)
            let field = String(decoding: line[..<colon], as: UTF8.self)
            switch field {
            case "server_name": name = value
            case "redis_version", "valkey_version", "dragonfly_version":
                if !value.isEmpty { versions[String(field.prefix { $0 != "_" })] = value }
            case "run_id": facts.runID = value.isEmpty ? nil : value
            case "role": facts.isMaster = value == "master"
            // All zeros: the server never was a replica that became a master.
            case "master_replid2":
                facts.formerReplicationID = value.utf8.allSatisfy { $0 == UInt8(ascii: "0") } ? nil : value
            case "redis_mode": facts.isSentinel = value == "sentinel"
            case "cluster_enabled": facts.isClusterNode = value == "1"
            case "aof_enabled": facts.hasAppendOnlyFile = value == "1"
            case "maxmemory": facts.memoryLimitBytes = Int64(value)
            case "maxmemory_policy": facts.evictionPolicy = value
            case "evicted_keys": facts.evictedKeys = Int64(value)
            default: break
            }
        }
        facts.software = software(name, versions)
        return facts
    }

    /// What a server calls itself: "Redis 7.0.15", or "valkey 8.0.1 (redis_version 7.2.4)".
    ///
    /// Servers that speak the protocol of Redis give the version of Redis that they follow, and their own beside it.
    private static func software(_ name: String?, _ versions: [String: String]) -> String? {
        let own = name ?? versions.keys.first { $0 != "redis" }
        let followed = versions["redis"]
        guard let own, own.lowercased() != "redis" else { return followed.map { "Redis \($0)" } ?? own }
        let version = versions[own.lowercased()].map { " \($0)" } ?? ""
        return own + version + (followed.map { " (redis_version \($0))" } ?? "")
    }
}

/// Collects the answers of one inspection, or of several other questions that belong together.
final class ReplyCollector: ReplyReceiver {
    private let replyCount: Int
    private var replies: [RESPValue] = []
    private var completion: ((Result<[RESPValue], NodeFailure>) -> Void)?

    init(replyCount: Int, completion: @escaping (Result<[RESPValue], NodeFailure>) -> Void) {
        self.replyCount = replyCount
        self.completion = completion
    }

    func received(_ reply: RESPValue, from node: Int) {
        replies.append(reply)
        if replies.count == replyCount { complete(.success(replies)) }
    }

    func failed(_ failure: NodeFailure, at node: Int) {
        complete(.failure(failure))
    }

    private func complete(_ result: Result<[RESPValue], NodeFailure>) {
        let completion = self.completion
        self.completion = nil
        completion?(result)
    }
}
