// SPDX-License-Identifier: Apache-2.0

/// Moves labels apart that would lie on each other.
enum LabelPlacement {
    /// Positions in the order of the given ones, at least `distance` from each other, and within the bounds if there is room.
    static func spread(_ positions: [Double], distance: Double, within bounds: ClosedRange<Double>) -> [Double] {
        let order = positions.indices.sorted { positions[$0] < positions[$1] }
        var spread = positions
        var least = bounds.lowerBound
        for index in order {
            spread[index] = max(spread[index], least)
            least = spread[index] + distance
        }
        // Now those at the end may be too far down, and move up those before them.
        var most = bounds.upperBound
        for index in order.reversed() {
            spread[index] = min(spread[index], most)
            most = spread[index] - distance
        }
        return spread
    }
}
