// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Testing

@testable import RedlockTesting

@Suite("Fault pipe")
struct FaultPipeTests {
    private struct Arrival: Equatable {
        var text: String
        var nanoseconds: UInt64
    }

    @Test("jitter is the same for the same seed, and never lets bytes overtake each other")
    func seededJitter() {
        #expect(arrivals(seed: 1) == arrivals(seed: 1))
        #expect(arrivals(seed: 1) != arrivals(seed: 2))
        for seed in 0..<100 {
            let arrivals = arrivals(seed: UInt64(seed))
            #expect(arrivals.map(\.text).joined() == "abcdefghij")
            #expect(arrivals.allSatisfy { (1_000...3_009).contains($0.nanoseconds) })
        }
    }

    @Test("accounts for every byte under every sequence of faults")
    func accounts() {
        let faults: [Fault] = [
            .pass, .delay(.nanoseconds(3), jitter: .nanoseconds(2)), .stall, .blackHole, .endOfStream,
            .trickle(bytes: 2, interval: .nanoseconds(2)), .truncate(afterBytes: 7),
        ]
        for seed in 0..<2_000 {
            var random = SeededRandom(seed: UInt64(seed))
            var pipe = FaultPipe(fault: .pass)
            var now = NIODeadline.uptimeNanoseconds(0)
            var written = 0
            for step in 0..<40 {
                now = now + .nanoseconds(Int64.random(in: 0...2, using: &random))
                switch Int.random(in: 0..<10, using: &random) {
                case 0: pipe.set(faults.randomElement(using: &random) ?? .pass)
                case 1 where step > 30: pipe.endInput(now: now, random: &random)
                default:
                    let bytes = ByteBuffer(repeating: 1, count: Int.random(in: 1...5, using: &random))
                    pipe.receive(bytes, now: now, random: &random)
                }
                for case .write(let bytes) in pipe.actions(now: now) {
                    written += bytes.readableBytes
                }
            }
            let counts = pipe.counts
            #expect(counts.forwarded == written)
            #expect(counts.received == counts.forwarded + counts.held + counts.discarded)
        }
    }

    @Test("does nothing early, and has nothing left to do after its deadlines")
    func deadlines() {
        var random = SeededRandom(seed: 0)
        var pipe = FaultPipe(fault: .trickle(bytes: 2, interval: .nanoseconds(10)))
        pipe.receive(ByteBuffer(string: "abcde"), now: .uptimeNanoseconds(100), random: &random)
        #expect(texts(pipe.actions(now: .uptimeNanoseconds(100))) == ["ab"])
        #expect(pipe.nextDeadline == .uptimeNanoseconds(110))
        #expect(texts(pipe.actions(now: .uptimeNanoseconds(109))).isEmpty)
        #expect(texts(pipe.actions(now: .uptimeNanoseconds(110))) == ["cd"])
        #expect(texts(pipe.actions(now: .uptimeNanoseconds(120))) == ["e"])
        #expect(pipe.nextDeadline == nil)
    }

    /// When ten letters arrive that are sent in the first nanoseconds through a delay of 1 to 3 microseconds.
    private func arrivals(seed: UInt64) -> [Arrival] {
        var random = SeededRandom(seed: seed)
        var pipe = FaultPipe(fault: .delay(.microseconds(1), jitter: .microseconds(2)))
        for (index, letter) in "abcdefghij".enumerated() {
            let now = NIODeadline.uptimeNanoseconds(UInt64(index))
            pipe.receive(ByteBuffer(string: String(letter)), now: now, random: &random)
        }
        var arrivals: [Arrival] = []
        while let deadline = pipe.nextDeadline {
            arrivals += texts(pipe.actions(now: deadline)).map {
                Arrival(text: $0, nanoseconds: deadline.uptimeNanoseconds)
            }
        }
        return arrivals
    }

    private func texts(_ actions: [FaultPipe.Action]) -> [String] {
        actions.compactMap { action in
            if case .write(let bytes) = action { String(buffer: bytes) } else { nil }
        }
    }
}
