// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// Which rules: those of this package, or the published algorithm alone.
struct ProfileOptions: ParsableArguments {
    @Flag(
        name: .long,
        inversion: .prefixedNo,
        help: ArgumentHelp(
            "Share locks with clients of other kinds.",
            discussion: """
                The published algorithm with plain keys, the names of the locks: no fencing token, and every node's vote \
                counts, whatever happened to it.
                """
        )
    )
    var compatible: Bool?

    /// What these options say, for `Settings`.
    var partialSettings: PartialSettings { PartialSettings(isCompatible: compatible) }
}
