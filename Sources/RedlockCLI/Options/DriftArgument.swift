// SPDX-License-Identifier: Apache-2.0

import Redlock

/// How far clocks may run apart: `standard`, `strict`, or a part of the TTL such as `5%`.
enum DriftArgument {
    /// - Throws: `UsageError` that says what is wrong with the text.
    static func parse(_ text: String) throws -> DriftProfile {
        switch text {
        case "standard": return .standard
        case "strict": return .strict
        default: break
        }
        guard text.hasSuffix("%"), let percent = percent(text.dropLast()) else {
            throw UsageError(
                "\"\(text)\" is not a drift; write standard (1%), strict (16%), or a percentage such as 5%"
            )
        }
        // A grant counts only with half of its TTL left.
        guard percent <= 40 else { throw UsageError("\"\(text)\" is too much; a drift is 40% at most") }
        return DriftProfile(rate: percent / 100)
    }

    /// Digits and one point: neither "nan" nor "inf" nor an exponent is a number here.
    private static func percent(_ text: Substring) -> Double? {
        guard text.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") }) else { return nil }
        return Double(text)
    }
}
