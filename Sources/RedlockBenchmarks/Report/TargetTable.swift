// SPDX-License-Identifier: Apache-2.0

/// What was asked for, and whether it was reached.
struct TargetTable {
    let targets: [BenchmarkReport.TargetResult]

    var markup: Markup {
        .element(
            "section",
            ["id": "targets"],
            [.element("h2", [:], ["Targets"]), summary] + (targets.isEmpty ? [] : [table])
        )
    }

    private var summary: Markup {
        guard !targets.isEmpty else { return .element("p", [:], ["This run has no targets."]) }
        let missed = targets.count { $0.verdict == .missed }
        let unknown = targets.count { $0.verdict == .notMeasured }
        let met = targets.count - missed - unknown
        let parts =
            ["\(met) of \(targets.count) met", "\(missed) missed"] + (unknown > 0 ? ["\(unknown) not measured"] : [])
        return .element("p", [:], [Markup(parts.joined(separator: ", ") + ".")])
    }

    private var table: Markup {
        Table(
            columns: [
                .text("target") { $0.title },
                Table.Column(title: "result", isNumber: false) {
                    Table.Cell(text: $0.verdict.text, style: $0.verdict.style)
                },
                .digits("measured", \.measured),
                Table.Column(title: "limit") {
                    Table.Cell(text: "\($0.isFloor ? "at least" : "at most") \(NumberText.inThreeDigits($0.limit))")
                },
                .text("unit", \.unit),
            ],
            rows: targets
        ).markup
    }
}

extension BenchmarkReport.TargetResult {
    enum Verdict {
        case met
        case missed
        case notMeasured

        /// A sign and words: the colour is not the only difference.
        var text: String {
            switch self {
            case .met: "✓ met"
            case .missed: "✗ missed"
            case .notMeasured: "– not measured"
            }
        }

        /// The class of the style sheet.
        var style: String {
            switch self {
            case .met: "met"
            case .missed: "missed"
            case .notMeasured: "not-measured"
            }
        }
    }

    var verdict: Verdict {
        measured == nil ? .notMeasured : isMet ? .met : .missed
    }
}
