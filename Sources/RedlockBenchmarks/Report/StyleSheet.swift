// SPDX-License-Identifier: Apache-2.0

/// How the page looks.
///
/// It must not contain what has a meaning in XML: `<` and `&`.
enum StyleSheet {
    static let text = [colours, page, tables, plots, printing].joined(separator: "\n")

    /// Those of subjects are from the palette of Okabe and Ito, which colour-blind people can tell apart.
    private static let colours = """
        :root {
          --paper: #fff; --ink: #1a1d21; --quiet: #5b636d; --faint: #dfe3e8;
          --good: #00694d; --bad: #b23c00; --unknown: #6b5600;
          --limit-plain: #1a1d21; --limit-hiredis: #d08a00; --limit-standard: #b8609a;
          --compatible: #d55e00; --standard: #0072b2; --with-lock-compatible: #009e73; --with-lock-standard: #3fa3dc;
        }
        @media screen and (prefers-color-scheme: dark) {
          :root {
            --paper: #14171a; --ink: #e8eaed; --quiet: #a3abb5; --faint: #31373e;
            --good: #4fd1a5; --bad: #ff8f57; --unknown: #e0c35a;
            --limit-plain: #e8eaed; --limit-hiredis: #e69f00; --limit-standard: #cc79a7;
            --compatible: #f07818; --standard: #3a93d6; --with-lock-compatible: #1fb88c; --with-lock-standard: #8cd0f5;
          }
        }
        .limit-plain { --subject: var(--limit-plain) }
        .limit-hiredis { --subject: var(--limit-hiredis) }
        .limit-standard { --subject: var(--limit-standard) }
        .compatible { --subject: var(--compatible) }
        .standard { --subject: var(--standard) }
        .with-lock-compatible { --subject: var(--with-lock-compatible) }
        .with-lock-standard { --subject: var(--with-lock-standard) }
        .met { color: var(--good); font-weight: 600 }
        .missed { color: var(--bad); font-weight: 600 }
        .not-measured { color: var(--unknown); font-weight: 600 }
        """

    private static let page = """
        * { box-sizing: border-box }
        body {
          margin: 0 auto; max-width: 1240px; padding: 16px; background: var(--paper); color: var(--ink);
          font: 15px/1.5 system-ui, sans-serif;
        }
        h1 { font-size: 1.7em; line-height: 1.2; margin: 0.4em 0 }
        h2 { font-size: 1.3em; margin: 1.8em 0 0.4em }
        h3 { font-size: 1em; margin: 1.4em 0 0.3em }
        p { margin: 0.2em 0 0.6em; max-width: 75ch }
        header p, figcaption p, section > p { color: var(--quiet) }
        header p.reading { color: var(--ink) }
        """

    private static let tables = """
        .table { overflow-x: auto }
        table { border-collapse: collapse; font-size: 0.9em; font-variant-numeric: tabular-nums }
        th, td { padding: 3px 10px; text-align: left; white-space: nowrap; border-top: 1px solid var(--faint) }
        th { font-weight: 400 }
        thead th { border-top: 0; vertical-align: bottom; white-space: normal; font-weight: 600 }
        .separate th, .separate td { border-top: 1px solid var(--quiet) }
        .number { text-align: right }
        #targets th, #targets td { white-space: normal }
        #targets .met, #targets .missed, #targets .not-measured { white-space: nowrap }
        @media (max-width: 640px) {
          /* The wide tables scroll there anyway, and headings of five lines are not read. */
          #rows thead th:nth-child(n + 6) { min-width: 7em }
          /* A target below its title: five columns would leave the title three words wide. */
          #targets thead { display: none }
          #targets tr { display: block; border-top: 1px solid var(--faint); padding: 6px 0 }
          #targets th { display: block; border: 0; padding: 0 }
          #targets td { display: inline-block; border: 0; padding: 0 8px 0 0 }
          #targets td:nth-child(3)::before { content: "measured " }
        }
        """

    private static let plots = """
        .figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); gap: 24px 32px }
        figure { margin: 0; max-width: 720px; break-inside: avoid; display: flex; flex-direction: column }
        figcaption h3 { margin-top: 0.6em }
        /* Drawings side by side begin at the same height, below captions of different lengths. */
        @media (min-width: 1020px) { figcaption { min-height: 7.6em } }
        svg { display: block; width: 100%; height: auto; font: 14px system-ui, sans-serif; fill: var(--ink) }
        .tick, .axis-title { fill: var(--quiet) }
        .grid { stroke: var(--faint) }
        .axis { stroke: var(--quiet) }
        .leader { stroke: var(--quiet); stroke-dasharray: 1 2 }
        .reference { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 5 4 }
        .line { fill: none; stroke: var(--subject); stroke-width: 2.2 }
        .range { stroke: var(--subject); stroke-width: 1.3 }
        .marker { fill: var(--subject); stroke: var(--subject); stroke-width: 1.8 }
        .bar { fill: var(--subject) }
        .bar-label, .value { paint-order: stroke; stroke: var(--paper); stroke-width: 4px }
        """

    private static let printing = """
        @media print {
          body { max-width: none; padding: 0; font-size: 10pt }
          .figures { grid-template-columns: 1fr 1fr }
          figcaption { min-height: 8.5em }
          .table { overflow: visible }
          table { font-size: 7pt }
          th, td { padding: 1px 4px }
          tr { break-inside: avoid }
          h2, h3 { break-after: avoid }
          .bar { print-color-adjust: exact; -webkit-print-color-adjust: exact }
        }
        """
}
