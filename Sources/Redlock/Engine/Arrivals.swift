// SPDX-License-Identifier: Apache-2.0

/// What comes and goes, each known by a number; gone through in the order in which it came.
///
/// The order of a plain dictionary differs from run to run, and with it would what is sent to the nodes first.
struct Arrivals<Element> {
    private var elements: [Int: Element] = [:]
    private var lastNumber = 0

    /// Those that are there, the first that came first.
    var inOrder: [Element] {
        elements.isEmpty ? [] : elements.sorted { $0.key < $1.key }.map(\.value)
    }

    /// Takes one in; returns its number.
    mutating func insert(_ element: Element) -> Int {
        lastNumber += 1
        elements[lastNumber] = element
        return lastNumber
    }

    /// Lets one go; nil if it is not there.
    @discardableResult
    mutating func remove(_ number: Int?) -> Element? {
        number.flatMap { elements.removeValue(forKey: $0) }
    }

    mutating func removeAll() {
        elements = [:]
    }
}
