// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Numbers as the report writes them, the same on every machine: `12,345.6`.
enum NumberText {
    /// With that many decimals, and a comma between thousands.
    static func grouped(_ value: Double, decimals: Int = 0) -> String {
        guard value.isFinite else { return "–" }
        // Without a locale, the format's point is a point everywhere.
        let digits = String(format: "%.\(decimals)f", abs(value))
        let parts = digits.split(separator: ".", maxSplits: 1)
        let isZero = digits.allSatisfy { $0 == "0" || $0 == "." }
        return (value < 0 && !isZero ? "−" : "") + separatingThousands(parts[0])
            + (parts.count > 1 ? ".\(parts[1])" : "")
    }

    static func grouped(_ value: Int) -> String {
        (value < 0 ? "−" : "") + separatingThousands(Substring("\(value.magnitude)"))
    }

    /// With three digits that count, or with all those before the point: `0.0123`, `4.57`, `12,345`.
    static func inThreeDigits(_ value: Double) -> String {
        guard value.isFinite, value != 0 else { return grouped(value) }
        let exponent = Int(log10(abs(value)).rounded(.down))
        return grouped(value, decimals: min(9, max(0, 2 - exponent)))
    }

    /// A multiple of `step`, with as many decimals as the step needs: ticks of one axis look alike.
    static func multiple(_ value: Double, of step: Double) -> String {
        guard value != 0 else { return "0" }
        // A logarithm that should be whole may be a little below it.
        let exponent = Int((log10(step) + 1e-9).rounded(.down))
        return grouped(value, decimals: max(0, -exponent))
    }

    private static func separatingThousands(_ digits: Substring) -> String {
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0 && (digits.count - index) % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return text
    }
}
