// SPDX-License-Identifier: Apache-2.0

/// How a subject looks in all plots: a colour of the style sheet, a dash and a marker, of which each alone tells it.
struct Appearance: Sendable {
    enum Marker: Sendable {
        case circle
        case square
        case diamond
        case triangle
        case triangleDown
        case cross
        case plus
    }

    /// The class of the style sheet that sets the colour.
    let colourClass: String
    /// As in `stroke-dasharray`.
    let dash: String
    let marker: Marker
}

extension BenchmarkReport.Subject {
    /// Limits are dashed, what we are is solid, our other forms are dotted.
    var appearance: Appearance {
        switch self {
        case .limitPlain: Appearance(colourClass: "limit-plain", dash: "7 4", marker: .square)
        case .limitStandard: Appearance(colourClass: "limit-standard", dash: "9 3 2 3", marker: .cross)
        case .limitHiredis: Appearance(colourClass: "limit-hiredis", dash: "4 4", marker: .plus)
        case .standard: Appearance(colourClass: "standard", dash: "none", marker: .circle)
        case .compatible: Appearance(colourClass: "compatible", dash: "none", marker: .diamond)
        case .withLockStandard: Appearance(colourClass: "with-lock-standard", dash: "2 3", marker: .triangle)
        case .withLockCompatible: Appearance(colourClass: "with-lock-compatible", dash: "1 4", marker: .triangleDown)
        case .standardOnLoop: Appearance(colourClass: "standard", dash: "1 3", marker: .circle)
        case .compatibleOnLoop: Appearance(colourClass: "compatible", dash: "1 3", marker: .diamond)
        }
    }

    /// Limits first: what comes after is compared with them.
    static let inOrder: [Self] = [
        .limitPlain, .limitHiredis, .limitStandard, .compatible, .compatibleOnLoop, .withLockCompatible, .standard,
        .standardOnLoop, .withLockStandard,
    ]

    /// Where it stands in that order.
    var rank: Int { Self.inOrder.firstIndex(of: self) ?? Self.inOrder.count }
}

extension BenchmarkReport.Workload {
    var title: String {
        switch self {
        case .uncontended: "one task, names of its own"
        case .concurrent: "many tasks, each with names of its own"
        case .contended: "many tasks compete for one name"
        case .renewing: "many leases are renewed"
        case .waiting: "many wait for one name"
        }
    }
}
