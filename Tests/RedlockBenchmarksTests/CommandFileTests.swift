// SPDX-License-Identifier: Apache-2.0

import Foundation
import Hiredis
import LocalRedis
import LockCore
import Redlock
import TestSupport
import Testing

@testable import RedlockBenchmarks

struct CommandFileTests {
    private let recordIDs = [RecordID(bits: 0x0123_4567_89ab_cdef), RecordID(bits: 0xfedc_ba98_7654_3210)]

    @Test
    func hasTheDocumentedForm() throws {
        var reader = Reader(try CommandFile(recordIDs: recordIDs, taskCount: 3).contents)
        #expect(try reader.text(8) == "RLCMD001")
        #expect(try reader.number() == 3)
        #expect(try reader.number() == 2)
        for _ in recordIDs {
            let replyCount = try reader.number()
            let commands = try reader.counted()
            #expect(commands.components(separatedBy: "*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n").count - 1 == replyCount)
        }
        for task in 0..<3 {
            for id in recordIDs {
                let acquire = try reader.counted()
                #expect(acquire.contains("EVALSHA"))
                #expect(acquire.contains(":benchmark/\(task)\r\n"))
                #expect(acquire.hasSuffix(" \(id)\r\n"))
                let release = try reader.counted()
                #expect(release.contains("EVALSHA"))
                #expect(release.contains(":benchmark/\(task)\r\n"))
            }
        }
        #expect(reader.isAtEnd)
    }

    /// What differs is what no two attempts have in common: the owner token and the time.
    @Test
    func hasTheCommandsThatAClientSends() async throws {
        try await withLocalRedis(nodes: 1) { redis in
            try await RedlockClient.enrolNewSet(nodes: redis.urls)
            let configuration = BenchmarkNodes.configuration(for: .concurrent)
            let client = try RedlockClient(nodes: redis.urls, configuration: configuration)
            try await client.acquire("benchmark/0").release()
            let monitor = try Monitor(path: redis[0].unixSocketPath)
            try await client.acquire("benchmark/0").release()
            let sent = try [monitor.nextScript(), monitor.nextScript()]
            await client.shutdown()

            let file = try await CommandFile(servers: redis.servers, taskCount: 1).contents
            var reader = Reader(file)
            _ = try reader.text(16)
            _ = try reader.number()
            _ = try reader.counted()
            let written = try [reader.counted(), reader.counted()].map(Self.arguments)

            for (sent, written) in zip(sent, written) {
                #expect(sent.count == written.count)
                let unlike = zip(sent, written).filter { $0 != $1 }
                for (one, other) in unlike {
                    // Owner tokens are as long as each other, and so are times in microseconds.
                    #expect(one.count == other.count)
                    #expect(one.count >= 16)
                }
                #expect(unlike.count <= 2)
            }
        }
    }

    /// The arguments of a command of counted bytes.
    private static func arguments(_ command: String) -> [String] {
        let lines = command.components(separatedBy: "\r\n").dropFirst()
        return stride(from: lines.startIndex + 1, to: lines.endIndex, by: 2).map { lines[$0] }
    }
}

/// What a server is sent, as it tells one who watches it.
private final class Monitor {
    private let connection: RawConnection

    init(path: String) throws {
        connection = try RawConnection(path: path)
        try connection.send("MONITOR")
    }

    /// The arguments of the next script that a client sends.
    func nextScript() throws -> [String] {
        while true {
            // 1700000000.000000 [0 127.0.0.1:50000] "EVALSHA" "…"; what scripts call has "lua" for the address.
            let line = try #require(try connection.exchange([], replyCount: 1)[0].string)
            let start = try #require(line.range(of: "] "))
            let arguments = Self.arguments(line[start.upperBound...])
            if arguments.first == "EVALSHA" { return arguments }
        }
    }

    /// The texts between quotation marks, in which control characters stand as `\x1f`.
    private static func arguments(_ text: Substring) -> [String] {
        text.dropFirst().dropLast().components(separatedBy: "\" \"").map { $0.replacing("\\x1f", with: "\u{1F}") }
    }
}

/// Reads a file of commands from its beginning to its end.
private struct Reader {
    private var rest: Data

    init(_ data: Data) {
        rest = data
    }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func number() throws -> Int {
        try take(4).reversed().reduce(0) { $0 << 8 | Int($1) }
    }

    mutating func text(_ count: Int) throws -> String {
        String(decoding: try take(count), as: UTF8.self)
    }

    mutating func counted() throws -> String {
        try text(try number())
    }

    private mutating func take(_ count: Int) throws -> Data {
        try #require(rest.count >= count)
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }
}
