// SPDX-License-Identifier: Apache-2.0

import Foundation
import Hiredis
import LockCore
import Redlock
import RedlockSimulation
import RedlockTesting
import TestSupport

/// One thing that is done to a simulated server and to a real one.
struct Step {
    /// What it is, for people who look into a difference.
    let name: String
    /// What kind of step it is.
    let kind: String
    /// The commands for the real server.
    let commands: [UInt8]
    let commandCount: Int
    /// The digest of the script that it runs.
    var script: String?
    /// Does it to the simulated server; the answer, if it is one that can be compared.
    let simulate: (SimulatedServer) -> RESPValue?

    /// What a client sends.
    static func command(
        _ command: NodeCommand,
        isWhole: Bool = false,
        recordID: RecordID = RecordID(bits: 0)
    ) throws -> Step {
        var encoder = CommandEncoder()
        command.encode(into: &encoder, wholeScript: isWhole)
        let bytes = try encoder.withEncoded { bytes in
            if command.endsWithRecordID { NodeCommand.write(recordID, intoEnd: bytes) }
            return Array(bytes)
        }
        // Every second line is a length.
        var words = String(decoding: bytes, as: UTF8.self).components(separatedBy: "\r\n").dropFirst()
            .enumerated().filter { $0.offset % 2 == 1 }.map { "\"\($0.element)\"" }
        let kind = String("\(command)".prefix { $0 != "(" })
        if command.script != nil { words.replaceSubrange(0..<2, with: [isWhole ? "whole \(kind)" : kind]) }
        return Step(
            name: words.joined(separator: " "),
            kind: kind,
            commands: bytes,
            commandCount: 1,
            script: command.script?.digest
        ) { $0.execute(command, wholeScript: isWhole, recordID: recordID) }
    }

    static func plain(_ words: String...) throws -> Step {
        try command(.plain(words))
    }

    /// Everything that is there, and what some keys hold and how long they live.
    static func lookAtAll(_ keys: [String]) throws -> [Step] {
        try [plain("SCAN", "0", "MATCH", "*", "COUNT", "500")]
            + keys.flatMap { key in
                try [plain("GET", key), plain("ZRANGE", key, "0", "-1", "WITHSCORES"), plain("PTTL", key)]
            }
    }

    /// What an operator or another program does.
    static func outside(_ commands: [String]..., simulate: @escaping (SimulatedServer) -> Void) throws -> Step {
        Step(
            name: commands.map { $0.joined(separator: " ") }.joined(separator: "; "),
            kind: "outside",
            commands: try commands.flatMap { try RawConnection.encoded($0) },
            commandCount: commands.count
        ) {
            simulate($0)
            return nil
        }
    }
}
