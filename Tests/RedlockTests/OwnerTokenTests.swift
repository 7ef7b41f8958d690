// SPDX-License-Identifier: Apache-2.0

import RedisTransport
import RedlockTesting
import Testing

@testable import Redlock

@Suite
struct OwnerTokenTests {
    @Test
    func isUniqueHoweverOftenItIsMade() {
        var random = SystemRandomNumberGenerator()
        var seen: Set<String> = []
        for _ in 0..<100_000 {
            seen.insert(OwnerToken(highBits: random.next(), lowBits: random.next(), label: "x").secretText)
        }
        #expect(seen.count == 100_000)
    }

    @Test(arguments: [
        (UInt64(0), UInt64(0), "00000000000000000000000000000000"),
        (.max, .max, "ffffffffffffffffffffffffffffffff"),
        (0x0123_4567_89AB_CDEF, 1, "0123456789abcdef0000000000000001"),
    ])
    func holdsAllBits(high: UInt64, low: UInt64, digits: String) {
        #expect(OwnerToken(highBits: high, lowBits: low, label: "host:7").secretText == digits + ":host:7")
    }

    @Test(arguments: ["", "host:7", ":", "größe", "a:b:c"])
    func givesItsLabelBack(_ label: String) {
        let token = OwnerToken(highBits: 1, lowBits: 2, label: label)
        #expect(token.label == label)
        #expect(OwnerToken(secretText: token.secretText) == token)
    }

    @Test(arguments: [
        "", "short", "0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef host",
        "0123456789abcdef0123456789abcde:x", "ßßßßßßßßßßßßßßß",
    ])
    func otherClientsValuesHaveNoLabel(_ value: String) {
        #expect(OwnerToken.label(of: value) == nil)
    }

    @Test
    func takesWhatSomebodyKept() {
        for text in ["x", "another client's value", String(repeating: "x", count: 4096)] {
            #expect(OwnerToken(secretText: text)?.secretText == text)
        }
        for text in ["", String(repeating: "x", count: 4097), "a\nb", "a\0", "\u{9B}"] {
            #expect(OwnerToken(secretText: text) == nil)
        }
    }

    @Test
    func isNeverShown() throws {
        var random = SeededRandom(seed: 9)
        for _ in 0..<100 {
            let token = OwnerToken(highBits: random.next(), lowBits: random.next(), label: "host:7")
            let secret = String(token.secretText.prefix(32))
            for text in allTexts(of: token) + allTexts(of: ["key": token]) + allTexts(of: (1, token)) {
                #expect(!text.contains(secret) && !text.contains(secret.prefix(16)), "\(text)")
            }
            #expect("\(token)".contains("host:7"))
        }
        let foreign = try #require(OwnerToken(secretText: "topsecret"))
        for text in allTexts(of: foreign) { #expect(!text.contains("topsecret"), "\(text)") }
    }

    /// A lease carries the token.
    @Test
    func isNeverShownByWhatCarriesIt() throws {
        let token = OwnerToken(highBits: 0xFEED_FACE_CAFE_BEEF, lowBits: 3, label: "host:7")
        let lease = try heldLease(token, engine: stillEngine())
        for text in allTexts(of: lease) + allTexts(of: lease.lossError()) {
            #expect(!text.contains("feedface"), "\(text)")
        }
    }
}

@Suite
struct RedlockErrorTests {
    @Test
    func isOneLineWhateverAServerSays() {
        let engine = stillEngine(nodeNames: ["a:6379", "b:6379", "c:6379"])
        let evil = "ERR \r\n\u{1B}[2J\u{0}\u{85}\u{9B}31m" + String(repeating: "x", count: 10_000)
        let error = RedlockError(.quorumUnavailable, "too few nodes", nodes: engine.report([0: evil, 2: "fine"]))
        #expect(error.nodes.map(\.node) == ["a:6379", "b:6379", "c:6379"])
        #expect(error.description.hasPrefix("too few nodes (a:6379: ERR ??"))
        #expect(error.description.hasSuffix("; b:6379: no answer; c:6379: fine)"))
        #expect(!error.description.containsControlCharacters)
        #expect(error.description.count < 400)
    }

    @Test
    func everyByteOfAServerIsMadePrintable() {
        for value in UInt32(0)...0x2FF {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let text = "a\(scalar)b".printable()
            #expect(!text.containsControlCharacters)
            #expect(text == "a\(scalar)b" || text == "a?b")
        }
        #expect("größe 🔒".printable() == "größe 🔒")
        #expect("\r\n".printable() == "??")
        #expect(String(repeating: "x", count: 201).printable().count == 200)
    }

    @Test
    func codesAreNamed() {
        #expect("\(RedlockError.Code.timedOut)" == "timedOut")
        #expect(RedlockError.Code.lost != .notHeld)
        #expect(RedlockError(.lost, "gone").description == "gone")
    }
}
