// SPDX-License-Identifier: Apache-2.0

import Hiredis
import RedlockTesting
import Testing

@Suite("Mutated replies")
struct ReplyFuzzTests {
    private static let corpus: [[UInt8]] =
        ReplyReaderTests.validReplies.map { Array($0.wire.utf8) }
        + [
            "*2147483647\r\n", "$9223372036854775807\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "%1\r\n+a\r\n:1\r\n",
            ",1.5\r\n", "#t\r\n", "_\r\n", ">1\r\n+a\r\n", "=6\r\ntxt:ab\r\n", "*3\r\n*3\r\n*3\r\n*3\r\n:1\r\n",
            "$65536\r\n", "*1024\r\n",
        ].map { Array($0.utf8) }

    /// One or several replies of the corpus, with some bytes flipped, dropped, doubled or replaced.
    private static func mutant(using generator: inout SeededRandom) -> [UInt8] {
        var bytes = (0..<Int.random(in: 1...3, using: &generator)).flatMap { _ in
            corpus.randomElement(using: &generator) ?? []
        }
        for _ in 0..<Int.random(in: 0...4, using: &generator) {
            guard !bytes.isEmpty else { break }
            let place = Int.random(in: 0..<bytes.count, using: &generator)
            let end = min(bytes.count, place + Int.random(in: 1...6, using: &generator))
            switch Int.random(in: 0...5, using: &generator) {
            case 0: bytes[place] ^= 1 << UInt8.random(in: 0...7, using: &generator)
            case 1: bytes[place] = UInt8.random(in: 0...255, using: &generator)
            case 2: bytes[place] = Array("+-:$*\r\n0123456789".utf8).randomElement(using: &generator) ?? 0
            case 3: bytes.removeSubrange(place..<end)
            case 4: bytes.insert(contentsOf: bytes[place..<end], at: place)
            default: bytes.insert(contentsOf: corpus.randomElement(using: &generator) ?? [], at: place)
            }
        }
        return bytes
    }

    @Test("200,000 mutants: every one gives replies or an error, no more than its bytes allow", arguments: 1...4)
    func mutants(seed: UInt64) {
        var generator = SeededRandom(seed: seed)
        var failedCount = 0
        for _ in 0..<50_000 {
            let bytes = Self.mutant(using: &generator)
            let lengths = (0..<3).map { _ in Int.random(in: 0...bytes.count, using: &generator) }
            let outcome = read(bytes, pieces: lengths)
            failedCount += outcome.error == nil ? 0 : 1
            // The shortest reply has three bytes.
            if outcome.replies.count > bytes.count / 3 || (outcome.error?.message.utf8.count ?? 0) > 300 {
                Issue.record("seed \(seed): \(bytes) became \(outcome)")
            }
        }
        #expect(failedCount > 10_000, "the mutants must reach the paths that refuse")
        #expect(failedCount < 45_000, "the mutants must reach the paths that read")
    }

    @Test("Mutants give the same replies, and fail at the same reply, however they are cut")
    func mutantsInPieces() {
        var generator = SeededRandom(seed: 99)
        for _ in 0..<20_000 {
            let bytes = Self.mutant(using: &generator)
            let whole = read(bytes)
            let pieces = read(bytes, pieces: bytes.map { _ in 1 })
            if whole.replies != pieces.replies || (whole.error == nil) != (pieces.error == nil) {
                Issue.record("\(bytes): whole \(whole), in pieces \(pieces)")
            }
        }
    }
}
