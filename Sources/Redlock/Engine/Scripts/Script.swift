// SPDX-License-Identifier: Apache-2.0

/// A script that runs on the nodes, and the digest by which a node knows it.
package struct Script: Sendable {
    package let text: String
    /// SHA-1 of the text, in hexadecimal digits.
    package let digest: String

    /// The scripts of the standard profile that a node is given with every connection; the others are sent whole where they
    /// are missing.
    package static let standard = [acquire, raise, extend, repair, release, read]

    /// The scripts of the compatible profile.
    package static let compatible = [extend, releasePlain, readPlain]
}
