// SPDX-License-Identifier: Apache-2.0

extension Lease: CustomStringConvertible {
    /// What is locked, under which fencing token and label, and how long the holder may still count on it; never the owner
    /// token, which is a secret.
    public var description: String {
        let place = slot.map { " slot \($0)" } ?? ""
        let token = held.fencingToken.map { ", fencing token \($0)" } ?? ""
        let remaining = remaining
        let end = remaining > .zero ? "\(remaining.briefText) left unless renewed" : "ended"
        return "lease of \"\(resource)\"\(place)\(token), held by \(ownerLabel), \(end)"
    }
}
