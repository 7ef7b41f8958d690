// SPDX-License-Identifier: Apache-2.0

/// Bars from left to right, each below its label, which leaves room for long labels on small screens.
struct BarPlot {
    struct Bar {
        let label: String
        let value: Double
        let subject: BenchmarkReport.Subject
    }

    /// A value that the bars are to be compared with.
    struct Reference {
        let label: String
        let value: Double
    }

    let name: String
    let title: String
    let explanation: String
    let axisTitle: String
    let bars: [Bar]
    var reference: Reference?

    private let left = 8.0
    private let barHeight = 14.0
    private let bandHeight = 42.0

    var figure: Figure {
        Figure(
            name: name,
            title: title,
            explanation: explanation,
            height: bottom + 50,
            // Labels come last, and interrupt the lines that they lie on.
            shapes: grid + referenceLine + bars.enumerated().flatMap { shapes(of: $0.element, index: $0.offset) }
        )
    }

    // MARK: Room

    /// Bars are as long as their values are great, so they begin at zero and have no logarithmic scale.
    private var scale: AxisScale {
        .linear(upTo: (bars.map(\.value) + [reference?.value ?? 0]).max() ?? 0)
    }

    private var top: Double { reference == nil ? 6 : 8 + Drawing.lineHeight }

    private var bottom: Double { top + Double(bars.count) * bandHeight + 4 }

    private func x(of value: Double) -> Double {
        // Behind the longest bar, there is room for its value.
        let right = Drawing.width - 16 - (bars.map { Drawing.width(of: text(of: $0)) }.max() ?? 0)
        return left + scale.position(of: value) * (right - left)
    }

    private func text(of bar: Bar) -> String { NumberText.inThreeDigits(bar.value) }

    // MARK: Shapes

    private var grid: [Markup] {
        let columns = scale.ticks.flatMap { tick in
            let x = x(of: tick.value)
            return [
                Drawing.line(from: (x, top), to: (x, bottom), tick.value == 0 ? "axis" : "grid"),
                // The first label is not in the middle below its tick, since it would be cut off.
                Drawing.text(
                    tick.label,
                    x: tick.value == 0 ? x - 4 : x,
                    y: bottom + Drawing.lineHeight,
                    tick.value == 0 ? .start : .middle,
                    "tick"
                ),
            ]
        }
        let title = Drawing.text(axisTitle, x: left, y: bottom + 42, .start, "axis-title")
        return columns + [title]
    }

    private func shapes(of bar: Bar, index: Int) -> [Markup] {
        let bandTop = top + Double(index) * bandHeight
        let barTop = bandTop + Drawing.lineHeight + 4
        return [
            Drawing.text(bar.label, x: left + 5, y: bandTop + Drawing.lineHeight - 1, .start, "bar-label"),
            Drawing.bar(
                x: left,
                y: barTop,
                width: max(1, x(of: bar.value) - left),
                height: barHeight,
                bar.subject.appearance
            ),
            Drawing.text(text(of: bar), x: x(of: bar.value) + 6, y: barTop + 12, .start, "value"),
        ]
    }

    private var referenceLine: [Markup] {
        guard let reference else { return [] }
        let x = x(of: reference.value)
        // The label lies on that side of the line where there is more room.
        let isRight = x > Drawing.width / 2
        return [
            Drawing.line(from: (x, top - 4), to: (x, bottom), "reference"),
            Drawing.text(reference.label, x: isRight ? x + 4 : x - 4, y: 15, isRight ? .end : .start, "axis-title"),
        ]
    }
}
