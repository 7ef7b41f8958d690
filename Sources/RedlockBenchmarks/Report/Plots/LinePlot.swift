// SPDX-License-Identifier: Apache-2.0

/// Lines over two axes, each with its name at its end.
struct LinePlot {
    struct Axis {
        let title: String
        let scale: AxisScale
    }

    struct Series {
        let subject: BenchmarkReport.Subject
        let points: [Point]
    }

    struct Point {
        let x: Double
        let y: Double
        /// From the least round to the greatest, drawn as a thin line.
        var range: ClosedRange<Double>?
        /// Where points are close to each other, a marker on each would hide the line.
        var isMarked = true
    }

    let name: String
    let title: String
    let explanation: String
    let horizontal: Axis
    let vertical: Axis
    let series: [Series]

    private let height = 370.0
    private let top = 32.0
    private let bottom = 50.0
    /// How long the piece of line is that stands before each label.
    private let keyLength = 26.0
    private let labelDistance = 14.0

    var figure: Figure {
        Figure(
            name: name,
            title: title,
            explanation: explanation,
            height: height,
            shapes: grid + axisTitles + series.flatMap(ranges) + series.flatMap(lineAndMarkers) + endLabels
        )
    }

    // MARK: Room

    private var left: Double { 10 + (vertical.scale.ticks.map { Drawing.width(of: $0.label) }.max() ?? 0) }

    private var right: Double {
        let labelWidth = series.map { Drawing.width(of: $0.subject.rawValue) }.max() ?? 0
        return Drawing.width - labelDistance - keyLength - 6 - labelWidth
    }

    private func place(x: Double, y: Double) -> (x: Double, y: Double) {
        (
            left + horizontal.scale.position(of: x) * (right - left),
            height - bottom - vertical.scale.position(of: y) * (height - bottom - top)
        )
    }

    // MARK: Axes

    private var grid: [Markup] {
        let start = place(x: horizontal.scale.domain.lowerBound, y: vertical.scale.domain.lowerBound)
        let end = place(x: horizontal.scale.domain.upperBound, y: vertical.scale.domain.upperBound)
        let rows = vertical.scale.ticks.flatMap { tick in
            let y = place(x: horizontal.scale.domain.lowerBound, y: tick.value).y
            return [
                Drawing.line(from: (start.x, y), to: (end.x, y), "grid"),
                Drawing.text(tick.label, x: start.x - 7, y: y + 5, .end, "tick"),
            ]
        }
        let columns = horizontal.scale.ticks.flatMap { tick in
            let x = place(x: tick.value, y: vertical.scale.domain.lowerBound).x
            return [
                Drawing.line(from: (x, start.y), to: (x, end.y), "grid"),
                Drawing.text(tick.label, x: x, y: start.y + Drawing.lineHeight, .middle, "tick"),
            ]
        }
        let axes = [
            Drawing.line(from: start, to: (end.x, start.y), "axis"),
            Drawing.line(from: start, to: (start.x, end.y), "axis"),
        ]
        return rows + columns + axes
    }

    /// The vertical title lies above its axis, where nobody has to turn their head.
    private var axisTitles: [Markup] {
        [
            Drawing.text(vertical.title, x: 2, y: 15, .start, "axis-title"),
            Drawing.text(horizontal.title, x: (left + right) / 2, y: height - 10, .middle, "axis-title"),
        ]
    }

    // MARK: Lines

    private func ranges(of series: Series) -> [Markup] {
        series.points.compactMap { point in
            guard let range = point.range, range.lowerBound < range.upperBound else { return nil }
            return Drawing.line(
                from: place(x: point.x, y: range.lowerBound),
                to: place(x: point.x, y: range.upperBound),
                "range \(series.subject.appearance.colourClass)"
            )
        }
    }

    private func lineAndMarkers(of series: Series) -> [Markup] {
        let appearance = series.subject.appearance
        let line = Drawing.polyline(series.points.map { place(x: $0.x, y: $0.y) }, appearance)
        let markers = series.points.filter(\.isMarked).map { point in
            let place = place(x: point.x, y: point.y)
            return Drawing.marker(appearance, x: place.x, y: place.y)
        }
        return [line] + markers
    }

    /// Names beside the ends of their lines; where ends are close to each other, the names move apart.
    private var endLabels: [Markup] {
        let ends = series.compactMap { series -> (subject: BenchmarkReport.Subject, x: Double, y: Double)? in
            series.points.last.map { point in
                let place = place(x: point.x, y: point.y)
                return (series.subject, place.x, place.y)
            }
        }
        let heights = LabelPlacement.spread(
            ends.map(\.y),
            distance: Drawing.lineHeight,
            within: top...(height - bottom)
        )
        return zip(ends, heights).flatMap { end, y in
            label(for: end.subject, atEnd: (end.x, end.y), y: y)
        }
    }

    private func label(for subject: BenchmarkReport.Subject, atEnd end: (x: Double, y: Double), y: Double) -> [Markup] {
        let start = right + labelDistance
        return [
            Drawing.line(from: (end.x + 5, end.y), to: (start - 2, y), "leader"),
            Drawing.polyline([(start, y), (start + keyLength, y)], subject.appearance),
            Drawing.marker(subject.appearance, x: start + keyLength / 2, y: y),
            Drawing.text(subject.rawValue, x: start + keyLength + 6, y: y + 5),
        ]
    }
}
