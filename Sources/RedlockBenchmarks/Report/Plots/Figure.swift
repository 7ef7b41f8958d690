// SPDX-License-Identifier: Apache-2.0

/// A drawing with its title and what to know of it, for eyes and for screen readers.
struct Figure {
    /// A word that is the figure's own in the page.
    let name: String
    let title: String
    /// How to read it.
    let explanation: String
    let height: Double
    let shapes: [Markup]

    var markup: Markup {
        .element(
            "figure",
            ["id": name],
            [
                .element(
                    "figcaption",
                    [:],
                    [.element("h3", [:], [Markup(title)]), .element("p", [:], [Markup(explanation)])]
                ),
                drawing,
            ]
        )
    }

    private var drawing: Markup {
        let titles: [Markup] = [
            .element("title", ["id": "\(name)-title"], [Markup(title)]),
            .element("desc", ["id": "\(name)-description"], [Markup(explanation)]),
        ]
        return .element(
            "svg",
            [
                "xmlns": "http://www.w3.org/2000/svg", "viewBox": "0 0 \(Int(Drawing.width)) \(Int(height))",
                "role": "img", "aria-labelledby": "\(name)-title \(name)-description",
            ],
            titles + shapes
        )
    }
}
