// SPDX-License-Identifier: Apache-2.0

import Foundation
import Hiredis
import LocalRedis
import LockCore
import Redlock

/// The bytes that a client of the standard profile sends for locks that nobody else wants, for `ServerLimit`, which
/// describes the form in `command_file.h`.
///
/// A client also asks for the time behind every write, which is left out: the more tasks there are, the more commands
/// share one write.
struct CommandFile: ~Copyable {
    static let magic = "RLCMD001"

    private static let configuration = BenchmarkNodes.configuration(for: .concurrent)

    private var bytes = Data()
    private var encoder = CommandEncoder()

    /// The commands for enrolled servers.
    init(servers: [LocalRedisServer], taskCount: Int) async throws {
        var recordIDs: [RecordID] = []
        for server in servers {
            let key = UncontendedCycle.recordKey(configuration: Self.configuration)
            guard let record = try await server.send("GET", key), let id = UncontendedCycle.recordID(ofRecord: record)
            else { throw BenchmarkError("server \(server.number) has no record: it was not enrolled") }
            recordIDs.append(id)
        }
        try self.init(recordIDs: recordIDs, taskCount: taskCount)
    }

    /// The commands for nodes with the given records.
    init(recordIDs: [RecordID], taskCount: Int) throws {
        append(Data(Self.magic.utf8))
        append(taskCount)
        append(recordIDs.count)
        var scripts: [Data] = []
        for script in Script.standard { scripts.append(try encoded(.plain(["SCRIPT", "LOAD", script.text]))) }
        for _ in recordIDs {
            append(scripts.count)
            appendCounted(scripts.reduce(into: Data()) { $0 += $1 })
        }
        for task in 0..<taskCount {
            let cycle = try UncontendedCycle(
                of: BenchmarkNodes.lockName(ofTask: task),
                ttlMilliseconds: 10_000,
                configuration: Self.configuration
            )
            let release = try encoded(cycle.release)
            for id in recordIDs {
                appendCounted(try encoded(cycle.acquire, recordID: id))
                appendCounted(release)
            }
        }
    }

    func write(to file: URL) throws {
        try bytes.write(to: file)
    }

    /// Everything that is in the file.
    var contents: Data { bytes }

    private mutating func encoded(_ command: NodeCommand, recordID: RecordID? = nil) throws -> Data {
        command.encode(into: &encoder, wholeScript: false)
        return try encoder.withEncoded { encoded in
            if let recordID { NodeCommand.write(recordID, intoEnd: encoded) }
            return Data(encoded)
        }
    }

    private mutating func append(_ data: Data) {
        bytes += data
    }

    private mutating func append(_ number: Int) {
        withUnsafeBytes(of: UInt32(number).littleEndian) { bytes.append(contentsOf: $0) }
    }

    private mutating func appendCounted(_ data: Data) {
        append(data.count)
        append(data)
    }
}
