// SPDX-License-Identifier: Apache-2.0

/// A table whose columns say how each row is written.
///
/// A column that has nothing in any row is left out.
struct Table<Row> {
    struct Column {
        let title: String
        var isNumber = true
        /// Nil where the row has no such value.
        let cell: (Row) -> Cell?
    }

    struct Cell {
        let text: String
        var style = ""
    }

    let columns: [Column]
    let rows: [Row]
    /// Whether a line is drawn above a row, given the row before it.
    var isSeparated: (Row, Row) -> Bool = { _, _ in false }

    var markup: Markup {
        let columns = columns.filter { column in rows.contains { column.cell($0) != nil } }
        // A wide table scrolls on its own, not the page; with a keyboard as well, hence tabindex.
        return .element(
            "div",
            ["class": "table", "tabindex": "0"],
            [
                .element(
                    "table",
                    [:],
                    [
                        .element("thead", [:], [.element("tr", [:], columns.map(heading))]),
                        .element("tbody", [:], rows.indices.map { self.row(at: $0, columns) }),
                    ]
                )
            ]
        )
    }

    private func heading(of column: Column) -> Markup {
        .element("th", ["scope": "col", "class": column.isNumber ? "number" : ""], [Markup(column.title)])
    }

    private func row(at index: Int, _ columns: [Column]) -> Markup {
        let isSeparate = index > 0 && isSeparated(rows[index - 1], rows[index])
        let cells = columns.enumerated().map { position, column in
            let cell = column.cell(rows[index]) ?? Cell(text: "–")
            let styles = [column.isNumber ? "number" : "", cell.style].filter { !$0.isEmpty }
            let style = styles.joined(separator: " ")
            return position == 0
                ? Markup.element("th", ["scope": "row", "class": style], [Markup(cell.text)])
                : Markup.element("td", ["class": style], [Markup(cell.text)])
        }
        return .element("tr", ["class": isSeparate ? "separate" : ""], cells)
    }
}

extension Table.Column {
    /// Numbers with that many decimals.
    static func number(_ title: String, decimals: Int = 0, _ value: @escaping (Row) -> Double?) -> Self {
        Self(title: title) { row in value(row).map { Table.Cell(text: NumberText.grouped($0, decimals: decimals)) } }
    }

    /// Numbers of very different sizes.
    static func digits(_ title: String, _ value: @escaping (Row) -> Double?) -> Self {
        Self(title: title) { row in value(row).map { Table.Cell(text: NumberText.inThreeDigits($0)) } }
    }

    static func text(_ title: String, _ value: @escaping (Row) -> String) -> Self {
        Self(title: title, isNumber: false) { Table.Cell(text: value($0)) }
    }
}
