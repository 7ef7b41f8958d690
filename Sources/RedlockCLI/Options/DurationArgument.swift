// SPDX-License-Identifier: Apache-2.0

import Redlock

/// Durations as people write them in a shell: `500ms`, `10s`, `5m`, `1h`, `2d`, fractions (`0.5s`), or a plain number
/// of seconds.
enum DurationArgument {
    /// Beyond this a duration is taken for a mistake; it also keeps all arithmetic on durations far from overflow.
    static let maximum: Duration = .seconds(365 * 86_400)

    /// - Throws: `UsageError` that says what is wrong with the text.
    static func parse(_ text: String) throws -> Duration {
        guard text.first != "-" else { throw UsageError("\"\(text)\" is negative; a duration is 0 or more") }
        let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard let nanosecondsPerUnit = nanosecondsPerUnit(text[number.endIndex...]),
            let nanoseconds = nanoseconds(number, nanosecondsPerUnit: nanosecondsPerUnit)
        else {
            throw UsageError("\"\(text)\" is not a duration; write 500ms, 10s, 5m, 1h, or a number of seconds")
        }
        guard nanoseconds <= maximum.wholeNanoseconds else {
            throw UsageError("\"\(text)\" is too long; the longest duration is 365d")
        }
        return .nanoseconds(Int64(nanoseconds))
    }

    private static func nanosecondsPerUnit(_ unit: Substring) -> Int128? {
        switch unit {
        case "ms": 1_000_000
        case "", "s": 1_000_000_000
        case "m": 60 * 1_000_000_000
        case "h": 3_600 * 1_000_000_000
        case "d": 86_400 * 1_000_000_000
        default: nil
        }
    }

    /// Decimal digits, not `Double`: no rounding, and neither "nan" nor "inf" nor an exponent is a number here.
    private static func nanoseconds(_ number: Substring, nanosecondsPerUnit: Int128) -> Int128? {
        let parts = number.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let fraction = parts.count == 2 ? parts[1] : ""
        guard parts[0].count + fraction.count > 0, !fraction.contains(".") else { return nil }
        // Longer than any duration we accept; saturated, so that the caller says "too long".
        guard parts[0].drop(while: { $0 == "0" }).count <= 12 else { return .max }
        guard let whole = Int128(parts[0].isEmpty ? "0" : parts[0]) else { return nil }
        var nanoseconds = whole * nanosecondsPerUnit
        var scale: Int128 = 1
        for digit in fraction.prefix(15) {
            guard let value = digit.wholeNumberValue else { return nil }
            scale *= 10
            nanoseconds += Int128(value) * nanosecondsPerUnit / scale
        }
        return nanoseconds
    }
}

extension Duration {
    /// Nanoseconds, the rest below one cut off.
    var wholeNanoseconds: Int128 {
        Int128(components.seconds) * 1_000_000_000 + Int128(components.attoseconds / 1_000_000_000)
    }

    /// Milliseconds, the rest below one cut off.
    var wholeMilliseconds: Int64 {
        components.seconds * 1_000 + components.attoseconds / 1_000_000_000_000_000
    }

    /// Short for people: `850ms`, `2.3s`, `5m 10s`.
    var readable: String { briefText }
}
