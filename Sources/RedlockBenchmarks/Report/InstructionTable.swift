// SPDX-License-Identifier: Apache-2.0

/// Instructions of one cycle, which do not depend on how busy the machine was.
struct InstructionTable {
    let counts: [BenchmarkReport.InstructionCount]

    /// Nil if nothing counted.
    var markup: Markup? {
        guard !counts.isEmpty else { return nil }
        return .element(
            "section",
            ["id": "instructions"],
            [
                .element("h3", [:], ["Instructions of one cycle"]),
                .element("p", [:], ["In user space, without contention, and without those of start and end."]),
                table.markup,
            ]
        )
    }

    private var table: Table<BenchmarkReport.InstructionCount> {
        Table(
            columns: [
                .text("subject", \.subject.rawValue),
                .number("N") { Double($0.nodeCount) },
                .text("counted by", \.counter),
                .number("instructions per cycle", \.instructionsPerCycle),
            ],
            rows: counts.sorted { ($0.nodeCount, $0.subject.rank) < ($1.nodeCount, $1.subject.rank) }
        ) { $0.nodeCount != $1.nodeCount }
    }
}
