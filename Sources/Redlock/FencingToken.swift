// SPDX-License-Identifier: Apache-2.0

/// A number that grows with every grant of a resource: what a store compares to refuse a holder that came too late.
///
/// The store keeps the highest token that it saw for the resource and refuses a lower one, in the same step as the
/// write. Then a holder that was paused, and writes after somebody else was granted the lock, changes nothing.
///
/// Tokens of one resource are unique and increase in the order of the grants, whatever the clocks do, while the counters
/// on the nodes survive. A node that lost its counter goes on from the time, which is that of the nodes, so tokens still
/// increase as long as the clocks of the nodes agree within their quarantine. Tokens of different resources have nothing
/// to do with each other, nor have those of different slots under one name.
public struct FencingToken: Hashable, Sendable, Comparable {
    /// The number, from 1 to 2^53.
    public let rawValue: Int64

    /// The highest number that is granted: scripts on the nodes count in doubles, which are exact up to 2^53.
    static let highest: Int64 = (1 << 53) - (1 << 20)

    /// What no counter on a node passes: whoever has reached the highest gets none any more.
    static let highestOnNodes: Int64 = 1 << 53

    /// The token of a number that was kept, for example by a store.
    public init(rawValue: Int64) {
        self.rawValue = rawValue
    }

    /// Whether the left token was granted before the right one.
    public static func < (left: FencingToken, right: FencingToken) -> Bool {
        left.rawValue < right.rawValue
    }
}

extension FencingToken: Codable {
    /// Reads the number.
    public init(from decoder: any Decoder) throws {
        rawValue = try decoder.singleValueContainer().decode(Int64.self)
    }

    /// Writes the number.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rawValue)
    }
}

extension FencingToken: CustomStringConvertible, LosslessStringConvertible {
    /// The token that was printed; nil for a text that is not a positive number.
    public init?(_ description: String) {
        guard let number = Int64(description), number > 0 else { return nil }
        self.init(rawValue: number)
    }

    /// The number in decimal digits.
    public var description: String { String(rawValue) }
}
