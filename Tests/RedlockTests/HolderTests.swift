// SPDX-License-Identifier: Apache-2.0

import RedisTransport
import RedlockTesting
import Testing

@testable import Redlock

/// What is read of a holder from the value of a key, which anybody may have written.
@Suite
struct HolderTests {
    private static let random = String(repeating: "0", count: 32)

    private func holder(_ fields: String) -> LockStatus.Holder {
        LockStatus.Holder(ownerToken: Self.random + ":me" + fields, remaining: nil)
    }

    @Test
    func clientsThatTellNoMoreThanTheirLabelAreUnderstood() {
        #expect(holder("") == LockStatus.Holder(label: "me", remaining: nil))
        #expect(holder("=host since=4") == LockStatus.Holder(label: "me=host since=4", remaining: nil))
    }

    @Test(arguments: [
        "", "another client's value", "host=a\u{1F}pid=1", "0123\u{1F}host=a", random + "\u{1F}host=a",
        random + "x:me\u{1F}host=a",
    ])
    func otherClientsTellNothing(_ value: String) {
        #expect(LockStatus.Holder(ownerToken: value, remaining: nil) == LockStatus.Holder(label: nil, remaining: nil))
    }

    @Test
    func unknownFieldsAreLeftOut() {
        let holder = holder("\u{1F}later=1\u{1F}host=a\u{1F}\u{1F}=\u{1F}pid\u{1F}HOST=b\u{1F}pid=7\u{1F}x=pid=8")
        #expect(holder == LockStatus.Holder(label: "me", remaining: nil, host: "a", process: 7))
    }

    @Test
    func theFirstOfAKindCounts() {
        #expect(holder("\u{1F}host=a\u{1F}host=b").host == "a")
        #expect(holder("\u{1F}host=\u{1F}host=b").host == nil)
    }

    @Test(arguments: ["", "0", "-1", "x", "1x", " 1", "2147483648", "99999999999999999999", "１", "1.0"])
    func whatIsNoProcessIsLeftOut(_ text: String) {
        #expect(holder("\u{1F}pid=\(text)\u{1F}host=a") == LockStatus.Holder(label: "me", remaining: nil, host: "a"))
    }

    @Test(arguments: [
        "", "0", "-1", "x", "253402300800000", "9223372036854775807", "9223372036854775808", "1e3", "0x10",
    ])
    func whatIsNoTimeIsLeftOut(_ text: String) {
        #expect(holder("\u{1F}since=\(text)").since == nil)
    }

    @Test
    func timesAreMillisecondsSince1970() {
        #expect(holder("\u{1F}since=1").since == .milliseconds(1))
        #expect(holder("\u{1F}since=253402300799999").since == .milliseconds(253_402_300_799_999))
    }

    @Test
    func nothingOfItTearsATerminalApart() {
        let evil = "\u{1B}[2J\r\n\u{9B}31m\u{202E}\u{2028}" + String(repeating: "x", count: 10_000)
        let holder = holder("\(evil)\u{1F}note=\(evil)\u{1F}host=\(evil)\u{1F}since=\(evil)")
        for text in [holder.label, holder.note, holder.host] {
            #expect(text?.containsControlCharacters == false && text?.contains("[2J??") == true)
            #expect((200...256).contains(text?.unicodeScalars.count ?? 0))
        }
    }

    @Test
    func noValueIsTooMuch() {
        #expect(holder(String(repeating: "\u{1F}", count: 1_000_000)).label == "me")
        let many = (0..<100_000).map { "\u{1F}x\($0)=" }.joined() + "\u{1F}host=a"
        #expect(holder(many).host == nil)
        #expect(holder("\u{1F}host=a" + many).host == "a")
    }

    @Test
    func anyBytesAreRead() {
        var random = SeededRandom(seed: 11)
        let openings = OwnerField.allCases.map { Array($0.opening.utf8) }
        for _ in 0..<20_000 {
            var value = Array((Self.random + ":").utf8)
            for _ in 0..<Int.random(in: 0..<6, using: &random) {
                if Bool.random(using: &random) { value += openings.randomElement(using: &random) ?? [] }
                value += (0..<Int.random(in: 0..<8, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
            }
            let holder = LockStatus.Holder(ownerToken: String(decoding: value, as: UTF8.self), remaining: nil)
            #expect(holder.label != nil)
            for text in [holder.label, holder.note, holder.host] {
                #expect(text?.containsControlCharacters != true)
            }
            if let since = holder.since { #expect(since > .zero) }
        }
    }
}
