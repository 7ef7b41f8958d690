// SPDX-License-Identifier: Apache-2.0

import LockCore
import Testing

@testable import Redlock

@Suite
struct LockOptionsTests {
    private func terms(_ options: LockOptions, _ configuration: RedlockConfiguration = .init()) throws -> LeaseTerms {
        try LeaseTerms(options, renewal: .automatic, configuration: configuration)
    }

    @Test
    func defaultsAreAllowed() throws {
        let terms = try terms(LockOptions())
        #expect(terms.timing.ttlMilliseconds == 10_000)
        #expect(terms.timing.driftNanoseconds == 102_000_000)
        #expect(terms.maximumHoldNanoseconds == nil)
        #expect(terms.cancellationMarginNanoseconds == 100_000_000)
        #expect(terms.label == RedlockConfiguration().label)
    }

    @Test(arguments: [
        (Duration.zero, "longer than 0"), (.nanoseconds(-1), "longer than 0"), (.seconds(-10), "longer than 0"),
        (.seconds(30) + .nanoseconds(1), "maximum TTL"), (.seconds(Int64.max), "maximum TTL"),
        (.milliseconds(1_000) - .nanoseconds(1), "node timeout"), (.nanoseconds(1), "node timeout"),
    ])
    func refusesTTL(_ ttl: Duration, says: String) {
        let error = #expect(throws: RedlockError.self) { try terms(LockOptions(ttl: ttl)) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.description.contains(says) == true, "\(String(describing: error))")
    }

    /// Redis counts whole milliseconds; to ask for less than the caller wanted would shorten the lock.
    @Test(arguments: [
        (Duration.milliseconds(1_000), Int64(1_000)), (.seconds(30), 30_000), (.milliseconds(1_500), 1_500),
        (.milliseconds(1_000) + .nanoseconds(1), 1_001), (.milliseconds(1_000) + .nanoseconds(999_999), 1_001),
    ])
    func roundsTTLUp(_ ttl: Duration, milliseconds: Int64) throws {
        #expect(try terms(LockOptions(ttl: ttl)).timing.ttlMilliseconds == milliseconds)
    }

    @Test(arguments: [
        (Duration.seconds(1), Duration.milliseconds(20)), (.milliseconds(2_000), .milliseconds(20)),
        (.milliseconds(2_100), .milliseconds(21)), (.seconds(30), .milliseconds(300)),
    ])
    func marginIsTheLargerOf20MillisecondsAnd1Percent(_ ttl: Duration, margin: Duration) throws {
        #expect(try terms(LockOptions(ttl: ttl)).cancellationMarginNanoseconds == margin.nanoseconds)
    }

    @Test
    func marginLiesBetween0AndHalfTheTTL() throws {
        for margin in [Duration.zero, .nanoseconds(1), .seconds(5)] {
            let terms = try terms(LockOptions(cancellationMargin: margin))
            #expect(terms.cancellationMarginNanoseconds == margin.nanoseconds)
        }
        for margin in [Duration.nanoseconds(-1), .seconds(5) + .nanoseconds(1), .seconds(Int64.max)] {
            let error = #expect(throws: RedlockError.self) { try terms(LockOptions(cancellationMargin: margin)) }
            #expect(error?.code == .invalidArgument)
        }
    }

    @Test
    func maximumHoldIsLongerThan0() throws {
        for hold in [Duration.zero, .nanoseconds(-1), .seconds(Int64.min)] {
            let error = #expect(throws: RedlockError.self) { try terms(LockOptions(maximumHold: hold)) }
            #expect(error?.code == .invalidArgument)
        }
        #expect(try terms(LockOptions(maximumHold: .nanoseconds(1))).maximumHoldNanoseconds == 1)
        #expect(try terms(LockOptions(maximumHold: .seconds(Int64.max))).maximumHoldNanoseconds == .max)
    }

    @Test(
        arguments: [
            (Duration.zero, nil, "longer than 0"), (.seconds(-1), nil, "longer than 0"),
            (.seconds(30) + .nanoseconds(1), nil, "maximum TTL"), (.seconds(5), .seconds(4), "maximum hold"),
        ] as [(Duration, Duration?, String)]
    )
    func refusesMinimumHold(_ hold: Duration, maximum: Duration?, says: String) {
        let error = #expect(throws: RedlockError.self) {
            try terms(LockOptions(maximumHold: maximum, minimumHold: hold))
        }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.contains(says) == true)
    }

    /// Longer than the TTL it may be, which is for holders that died.
    @Test
    func minimumHoldIsAtMostTheMaximumTTL() throws {
        let options = LockOptions(ttl: .seconds(2), maximumHold: .seconds(30), minimumHold: .seconds(30))
        let terms = try terms(options)
        #expect(terms.minimumHoldNanoseconds == 30_000_000_000)
        #expect(!terms.handsOver)
        #expect(try self.terms(LockOptions()).minimumHoldNanoseconds == nil)
    }

    @Test
    func notes() throws {
        #expect(try terms(LockOptions()).note == nil)
        for note in ["", "invoice 42", "größe", String(repeating: "é", count: 128)] {
            #expect(try terms(LockOptions(note: note)).note == note)
        }
        for (note, says) in [
            (String(repeating: "é", count: 128) + "x", "257 bytes"), ("a\nb", "control"), ("a\u{1F}b", "control"),
            ("\u{9B}1m", "control"), ("\u{202E}", "control"),
        ] {
            let error = #expect(throws: RedlockError.self) { try terms(LockOptions(note: note)) }
            #expect(error?.code == .invalidArgument)
            #expect(error?.message.contains("note") == true && error?.message.contains(says) == true)
        }
    }

    /// A lock that is handed over keeps what stands in its key.
    @Test
    func onlyWhoTellsTheSameIsHandedALockOver() throws {
        let terms = try [
            LockOptions(label: "a", note: "n"), LockOptions(label: "a"), LockOptions(label: "b", note: "n"),
            LockOptions(ttl: .seconds(9), label: "a", note: "n"),
        ].map { try self.terms($0) }
        for (first, one) in terms.enumerated() {
            for (second, other) in terms.enumerated() { #expect(one.areAlike(other) == (first == second)) }
        }
    }

    @Test
    func labels() throws {
        for label in ["", "worker 7", "größe", String(repeating: "x", count: 128)] {
            #expect(try terms(LockOptions(label: label)).label == label)
        }
        let tooLong = [String(repeating: "x", count: 129), String(repeating: "ß", count: 65)]
        for label in tooLong + ["a\nb", "a\u{7F}", "\u{9B}1m"] {
            let error = #expect(throws: RedlockError.self) { try terms(LockOptions(label: label)) }
            #expect(error?.code == .invalidArgument)
            #expect(error?.description.contains { $0.isNewline } == false)
        }
    }

    @Test
    func names() throws {
        for name in ["a", " ", "ünïcödé/🔒", "a:b{c}*?[d]", String(repeating: "x", count: 512)] {
            #expect(throws: Never.self) { try ResourceName.validate(name) }
        }
        let bad = [
            "", String(repeating: "x", count: 513), String(repeating: "ß", count: 257), "a\0b", "a\nb", "\r\n",
            "\u{1B}[2J", "a\u{7F}", "a\u{85}b",
        ]
        for name in bad {
            let error = #expect(throws: RedlockError.self) { try ResourceName.validate(name) }
            #expect(error?.code == .invalidArgument)
            #expect(error?.description.unicodeScalars.contains { $0.value < 0x20 } == false)
        }
    }
}
