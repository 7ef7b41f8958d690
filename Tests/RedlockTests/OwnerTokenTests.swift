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
        for text in ["x", "another client's value", "a\u{1F}b=c", "\u{1F}\u{1F}", String(repeating: "x", count: 4096)] {
            #expect(OwnerToken(secretText: text)?.secretText == text)
        }
        for text in ["", String(repeating: "x", count: 4097), "a\nb", "a\0", "\u{9B}", "a\u{1F}\u{9B}", "\u{1E}"] {
            #expect(OwnerToken(secretText: text) == nil)
        }
    }

    @Test
    func saysWhoHoldsItSinceWhen() {
        let identity = ClientIdentity(host: "web1", process: 4711)
        let token = OwnerToken(
            highBits: 0,
            lowBits: 1,
            label: "me",
            note: "größe = 3 ",
            identity: identity,
            wallMilliseconds: 1_764_190_985_123
        )
        let text = "00000000000000000000000000000001:me"
        let fields = ["note=größe = 3 ", "host=web1", "pid=4711", "since=1764190985123"]
        #expect(token.secretText == ([text] + fields).joined(separator: "\u{1F}"))
        #expect(token.label == "me")
        #expect(OwnerToken(secretText: token.secretText) == token)
        let holder = LockStatus.Holder(ownerToken: token.secretText, remaining: .seconds(3))
        let expected = LockStatus.Holder(
            label: "me",
            remaining: .seconds(3),
            host: "web1",
            process: 4711,
            since: .milliseconds(1_764_190_985_123),
            note: "größe = 3 "
        )
        #expect(holder == expected)
    }

    @Test
    func anotherTokenOfTheSameAttemptSaysTheSame() {
        let identity = ClientIdentity(host: "web1", process: 4711)
        let token = OwnerToken(highBits: 1, lowBits: 2, label: "a:b", identity: identity, wallMilliseconds: 5)
        let other = token.remade(highBits: 3, lowBits: 4)
        #expect(other.secretText.hasPrefix("00000000000000030000000000000004:a:b\u{1F}"))
        #expect(other.secretText.dropFirst(32) == token.secretText.dropFirst(32))
    }

    @Test
    func everyTimeFits() {
        let identity = ClientIdentity(host: nil, process: 1)
        for (milliseconds, text) in [(Int64.min, "0"), (0, "0"), (9, "9"), (10, "10"), (Int64.max, "\(Int64.max)")] {
            let token = OwnerToken(
                highBits: 1,
                lowBits: 2,
                label: "",
                identity: identity,
                wallMilliseconds: milliseconds
            )
            #expect(token.secretText.hasSuffix(":\u{1F}pid=1\u{1F}since=\(text)"), "\(token.secretText)")
        }
    }

    @Test
    func theHostCannotTearTheTokenApart() {
        let identity = ClientIdentity(host: "a\u{1F}note=b\n" + String(repeating: "x", count: 1_000), process: 1)
        let token = OwnerToken(highBits: 1, lowBits: 2, label: "me", identity: identity, wallMilliseconds: 5)
        let holder = LockStatus.Holder(ownerToken: token.secretText, remaining: nil)
        #expect(holder.note == nil && holder.process == 1 && holder.since == .milliseconds(5))
        #expect(holder.host?.hasPrefix("a?note=b?xxx") == true && holder.host?.count == 255)
        #expect(OwnerToken(secretText: token.secretText) != nil)
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

    /// What a lease is released with, and what is told of its holder, may not be torn from it by whoever looks.
    @Test
    func theRestOfTheTokenIsNoSecretAndTheRandomPartIs() {
        let token = OwnerToken(
            highBits: 0xFEED_FACE_CAFE_BEEF,
            lowBits: 3,
            label: "host:7",
            note: "n",
            identity: ClientIdentity(host: "h", process: 1),
            wallMilliseconds: 5
        )
        let holder = LockStatus.Holder(ownerToken: token.secretText, remaining: nil)
        for text in allTexts(of: holder) + allTexts(of: token) { #expect(!text.contains("feedface"), "\(text)") }
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
