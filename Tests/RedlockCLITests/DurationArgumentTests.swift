// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import RedlockCLI

@Suite
struct DurationArgumentTests {
    @Test(arguments: [
        ("500ms", Duration.milliseconds(500)), ("10s", .seconds(10)), ("5m", .seconds(300)), ("1h", .seconds(3_600)),
        ("2d", .seconds(172_800)), ("7", .seconds(7)), ("0", .zero), ("0.5", .milliseconds(500)),
        (".5s", .milliseconds(500)), ("1.", .seconds(1)), ("1.5m", .seconds(90)), ("0.0000000001s", .zero),
        ("365d", .seconds(31_536_000)), ("000000000000000000005", .seconds(5)),
    ])
    func reads(_ text: String, _ expected: Duration) throws {
        #expect(try DurationArgument.parse(text) == expected)
    }

    @Test(arguments: [
        "", " ", "-5", "-0", "nan", "NaN", "inf", "infinity", "1e3", "0x10", "+5", "5 s", "s", ".", "1..2", "1.2.3",
        "5x",
        "5S", "٣", "½", "5\n", "1,5", "ms", "10 minutes",
    ])
    func refuses(_ text: String) {
        #expect(throws: UsageError.self) { try DurationArgument.parse(text) }
    }

    @Test(arguments: ["366d", "999999999999999999999999999999999999999999", "9223372036854775807h", "31536001"])
    func refusesWhatIsTooLong(_ text: String) throws {
        let error = #expect(throws: UsageError.self) { try DurationArgument.parse(text) }
        #expect(error?.description.contains("too long") == true)
    }

    @Test(arguments: [
        (Duration.milliseconds(850), "850ms"), (.seconds(10), "10s"), (.milliseconds(2_340), "2.3s"),
        (.seconds(310), "5m 10s"), (.seconds(3_600), "1h"), (.seconds(5_400), "1h 30m"),
    ])
    func isReadable(_ duration: Duration, _ expected: String) {
        #expect(duration.readable == expected)
    }
}

@Suite
struct SignalNameTests {
    @Test(arguments: ["TERM", "term", "SIGTERM", "15"])
    func reads(_ text: String) throws {
        #expect(try SignalName(parsing: text).description == "TERM")
    }

    @Test(arguments: ["", "SIG", "FOO", "0", "-1", "999", "TERM "])
    func refuses(_ text: String) {
        #expect(throws: UsageError.self) { try SignalName(parsing: text) }
    }
}
