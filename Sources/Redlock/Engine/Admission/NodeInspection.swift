// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import RedisTransport

/// What a node is asked before its votes count, on every new connection and now and then.
struct NodeInspection {
    let facts: ServerFacts
    /// The text at the place of the record; nil if there is none.
    let record: String?
    /// The server's clock; nil if the user may not ask for it.
    let serverMicroseconds: Int64?

    /// The questions, in the order of the answers.
    ///
    /// Users may lack the right to INFO and CONFIG.
    static func commands(recordKey: String) -> [[String]] {
        [
            ["INFO"],
            ["CONFIG", "GET", "appendfsync"],
            ["CONFIG", "GET", "no-appendfsync-on-rewrite"],
            ["GET", recordKey],
            ["TIME"],
        ]
    }

    /// How many questions there are.
    static let commandCount = 5

    /// What the answers say.
    ///
    /// - Throws: `NodeFailure` if not even the record can be read.
    init(replies: [RESPValue]) throws(NodeFailure) {
        var facts = ServerFacts()
        if case .bulkString(let text) = replies[0] { facts = Self.facts(inInfo: text) }
        facts.fsyncPolicy = Self.setting(replies[1])
        facts.suspendsFsyncDuringRewrite = Self.setting(replies[2]).map { $0 == "yes" }
        self.facts = facts
        switch replies[3] {
        case .null: record = nil
        case .bulkString(let bytes): record = String(decoding: bytes, as: UTF8.self)
        default:
            throw NodeFailure(.permission, "its record cannot be read: \(replies[3].problem.printable())")
        }
        serverMicroseconds = replies[4].serverMicroseconds
    }

    /// The value of one setting in an answer to CONFIG GET; nil if the user may not ask.
    private static func setting(_ reply: RESPValue) -> String? {
        guard case .array(let parts) = reply, parts.count == 2 else { return nil }
        return parts[1].string
    }

    /// What INFO says of the server; see https://redis.io/docs/latest/commands/info/.
    static func facts(inInfo text: [UInt8]) -> ServerFacts {
        var facts = ServerFacts()
        var rest = text[...]
        while !rest.isEmpty {
            let line = rest.prefix { $0 != UInt8(ascii: "\n") }
            rest = rest[line.endIndex...].dropFirst()
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
            facts.note(line[..<colon], line[(colon + 1)...])
        }
        return facts
    }
}

extension ServerFacts {
    /// Notes one line of INFO, if it says something that counts.
    fileprivate mutating func note(_ name: ArraySlice<UInt8>, _ bytes: ArraySlice<UInt8>) {
        // Most lines say nothing that counts, and bytes are compared in no time.
        func isNamed(_ wanted: StaticString) -> Bool {
            wanted.withUTF8Buffer { name.elementsEqual($0) }
        }
        var value: String {
            String(decoding: bytes.last == UInt8(ascii: "\r") ? bytes.dropLast() : bytes, as: UTF8.self)
        }
        if isNamed("redis_version") || isNamed("valkey_version") {
            version = value
        } else if isNamed("run_id") {
            runID = value.isEmpty ? nil : value
        } else if isNamed("role") {
            isMaster = value == "master"
        } else if isNamed("master_replid2") {
            // All zeros: the server never was a replica that became a master.
            formerReplicationID = value.utf8.allSatisfy { $0 == UInt8(ascii: "0") } ? nil : value
        } else if isNamed("cluster_enabled") {
            isClusterNode = value == "1"
        } else if isNamed("aof_enabled") {
            hasAppendOnlyFile = value == "1"
        } else if isNamed("maxmemory") {
            memoryLimitBytes = Int64(value)
        } else if isNamed("maxmemory_policy") {
            evictionPolicy = value
        } else if isNamed("evicted_keys") {
            evictedKeys = Int64(value)
        }
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
