// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The shapes that plots are drawn with, and what they know of their sizes, in units of the drawing.
enum Drawing {
    static let width = 540.0
    static let fontSize = 14.0
    static let lineHeight = 17.0

    /// How wide text becomes at most; the font is not known before the page is shown, so it is a guess on the safe side.
    static func width(of text: String) -> Double { Double(text.count) * fontSize * 0.56 }

    static func line(from start: (x: Double, y: Double), to end: (x: Double, y: Double), _ style: String) -> Markup {
        .element(
            "line",
            [
                "class": style, "x1": coordinate(start.x), "y1": coordinate(start.y), "x2": coordinate(end.x),
                "y2": coordinate(end.y),
            ]
        )
    }

    enum Anchor: String {
        case start
        case middle
        case end
    }

    static func text(_ text: String, x: Double, y: Double, _ anchor: Anchor = .start, _ style: String = "") -> Markup {
        .element(
            "text",
            ["class": style, "x": coordinate(x), "y": coordinate(y), "text-anchor": anchor.rawValue],
            [Markup(text)]
        )
    }

    static func polyline(_ points: [(x: Double, y: Double)], _ appearance: Appearance) -> Markup {
        .element(
            "polyline",
            [
                "class": "line \(appearance.colourClass)", "stroke-dasharray": appearance.dash,
                "points": points.map { "\(coordinate($0.x)),\(coordinate($0.y))" }.joined(separator: " "),
            ]
        )
    }

    static func bar(x: Double, y: Double, width: Double, height: Double, _ appearance: Appearance) -> Markup {
        .element(
            "rect",
            [
                "class": "bar \(appearance.colourClass)", "x": coordinate(x), "y": coordinate(y),
                "width": coordinate(width), "height": coordinate(height),
            ]
        )
    }

    static func marker(_ appearance: Appearance, x: Double, y: Double) -> Markup {
        // Paths from the middle of the marker, each about as large to the eye as the others.
        let path =
            switch appearance.marker {
            case .circle: "m-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0z"
            case .square: "m-3.5,-3.5h7v7h-7z"
            case .diamond: "m0,-5l5,5l-5,5l-5,-5z"
            case .triangle: "m0,-5l4.7,8.2h-9.4z"
            case .triangleDown: "m0,5l4.7,-8.2h-9.4z"
            case .cross: "m-4,-4l8,8m0,-8l-8,8"
            case .plus: "m0,-5v10m-5,-5h10"
            }
        return .element(
            "path",
            ["class": "marker \(appearance.colourClass)", "d": "M\(coordinate(x)),\(coordinate(y))\(path)"]
        )
    }

    private static func coordinate(_ value: Double) -> String { String(format: "%.1f", value) }
}
