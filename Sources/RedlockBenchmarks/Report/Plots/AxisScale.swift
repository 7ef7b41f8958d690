// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Where values stand along an axis, which begins and ends with a tick.
struct AxisScale: Sendable {
    struct Tick: Sendable, Equatable {
        let value: Double
        let label: String
    }

    private enum Spacing {
        case linear
        case logarithmic
        /// Each further nine of a percentile takes as much room as the one before, as in plots of HdrHistogram.
        case nines

        func distance(of value: Double) -> Double {
            switch self {
            case .linear: value
            case .logarithmic: log10(value)
            case .nines: -log10(1 - value)
            }
        }
    }

    private let spacing: Spacing
    let ticks: [Tick]

    var isLogarithmic: Bool { spacing == .logarithmic }

    /// From the first tick to the last.
    var domain: ClosedRange<Double> { ticks[0].value...ticks[ticks.count - 1].value }

    /// From 0 at the beginning of the axis to 1 at its end; what lies outside, stands at the nearer of them.
    func position(of value: Double) -> Double {
        let inside = min(max(value, domain.lowerBound), domain.upperBound)
        let start = spacing.distance(of: domain.lowerBound)
        let end = spacing.distance(of: domain.upperBound)
        return (spacing.distance(of: inside) - start) / (end - start)
    }
}

extension AxisScale {
    /// Linear from zero, unless the values span so much that the small ones would lie on the axis.
    static func fitting(_ values: [Double]) -> AxisScale {
        let positive = values.filter { $0 > 0 }
        guard let least = positive.min(), let most = positive.max(), most / least >= 30 else {
            return .linear(upTo: positive.max() ?? 0)
        }
        return .logarithmic(covering: positive)
    }

    /// From zero, in six steps or fewer.
    static func linear(upTo most: Double) -> AxisScale {
        let most = most > 0 ? most : 1
        let step = roundNumber(notBelow: most / 6)
        // Without this, a division that should be whole may be a little above it and make one more step.
        let stepCount = max(1, Int((most / step - 1e-9).rounded(.up)))
        let ticks = (0...stepCount).map { index in
            let value = Double(index) * step
            return Tick(value: value, label: NumberText.multiple(value, of: step))
        }
        return AxisScale(spacing: .linear, ticks: ticks)
    }

    /// Decades; with 2 and 5 in between where there are only few.
    static func logarithmic(covering values: [Double]) -> AxisScale {
        let positive = values.filter { $0 > 0 && $0.isFinite }
        let least = positive.min() ?? 1
        let most = positive.max() ?? 10
        let first = Int(log10(least).rounded(.down))
        let last = max(first + 1, Int((log10(most) - 1e-9).rounded(.up)))
        return AxisScale(
            spacing: .logarithmic,
            ticks: last - first > 3 ? decades(from: first, to: last) : fractions(from: first, to: last, least, most)
        )
    }

    /// 1, 2, 4, …; not all of them are labelled where there are many.
    static func powersOfTwo(covering values: [Double]) -> AxisScale {
        let positive = values.filter { $0 >= 1 }
        let first = Int(log2(positive.min() ?? 1).rounded(.down))
        let last = max(first + 1, Int((log2(positive.max() ?? 2) - 1e-9).rounded(.up)))
        let step = (last - first + 6) / 7
        let ticks = stride(from: first, to: last + step, by: step).map { exponent in
            let value = exp2(Double(exponent))
            return Tick(value: value, label: NumberText.grouped(value))
        }
        return AxisScale(spacing: .logarithmic, ticks: ticks)
    }

    /// Each whole number from the least to the greatest.
    static func wholeNumbers(covering values: [Double]) -> AxisScale {
        let first = Int((values.min() ?? 0).rounded(.down))
        let last = max(first + 1, Int((values.max() ?? 1).rounded(.up)))
        let step = (last - first + 9) / 10
        let ticks = stride(from: first, to: last + step, by: step).map { number in
            Tick(value: Double(number), label: NumberText.grouped(number))
        }
        return AxisScale(spacing: .linear, ticks: ticks)
    }

    /// Percentiles, as parts of one.
    static let percentiles = AxisScale(
        spacing: .nines,
        ticks: [
            Tick(value: 0, label: "0"), Tick(value: 0.5, label: "50"), Tick(value: 0.9, label: "90"),
            Tick(value: 0.99, label: "99"), Tick(value: 0.999, label: "99.9"),
        ]
    )

    private static func decades(from first: Int, to last: Int) -> [Tick] {
        // More than ten labels would touch each other.
        let step = (last - first + 9) / 10
        return stride(from: first, to: last + step, by: step).map { exponent in
            let value = powerOfTen(exponent)
            return Tick(value: value, label: NumberText.multiple(value, of: value))
        }
    }

    /// 1, 2 and 5 of each decade: from the last that is not above the least value to the first that is not below the most.
    private static func fractions(from first: Int, to last: Int, _ least: Double, _ most: Double) -> [Tick] {
        let candidates = (first...last).flatMap { exponent in [1, 2, 5].map { $0 * powerOfTen(exponent) } }
        let start = candidates.lastIndex { $0 <= least * (1 + 1e-9) } ?? 0
        let end = candidates.firstIndex { $0 >= most * (1 - 1e-9) } ?? candidates.count - 1
        return candidates[start...max(end, start + 1)].map { value in
            Tick(value: value, label: NumberText.multiple(value, of: value))
        }
    }

    /// The smallest of 1, 2, 5, 10, 20, 50, … that is not below the value.
    private static func roundNumber(notBelow value: Double) -> Double {
        let power = powerOfTen(Int(log10(value).rounded(.down)))
        return [1, 2, 5].map { $0 * power }.first { $0 >= value * (1 - 1e-9) } ?? 10 * power
    }

    private static func powerOfTen(_ exponent: Int) -> Double { pow(10, Double(exponent)) }
}
